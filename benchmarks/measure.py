"""Time and memory of `blackstart measure` and `blackstart check` on a million lines.

    python -m benchmarks.measure [--lines 1000000] [--rounds 3]

Budget of both: 10 s and 1 GiB. Each command runs in a process of its own, in turn; a third one only parses
every line with json of the standard library, which is what a reader without any judgement costs. The history
is ten minutes of SQL writes, chats and session reads with an outage. Time is that of the fastest round, by
the clock and in CPU seconds: where they differ, the machine was busy with something else.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks.stats import goal, load_average

SECONDS, MEBIBYTES = 10.0, 1024.0
RUN_S = 600  # the load is spread over ten minutes


def generate(folder: Path, lines: int) -> None:
    """Write a run: SQL writes with terms, chats with retries, session reads, an outage, a fault."""
    with (folder / "history.jsonl").open("wb") as file:
        for item in _lines(lines):
            file.write(orjson.dumps(item) + b"\n")
    fault = {"kind": "kill", "target": "postgres.primary", "process": "postgres"}
    begin, end = RUN_S * 400_000_000, RUN_S * 430_000_000
    with (folder / "events.jsonl").open("wb") as file:
        for at, event in ((begin, "begin"), (end, "end")):
            file.write(orjson.dumps({"time": at, "source": "fault", "event": event, "fault": fault}) + b"\n")


def _lines(lines: int) -> Iterator[dict[str, Any]]:
    yield {"blackstart": 1, "clock": "monotonic_ns", "start_ns": 1, "wall": "2026-01-01T00:00:00Z"}
    sessions: dict[str, list[str]] = {}
    index, ops = 0, (lines - 1) // 2
    step = RUN_S * 1_000_000_000 // ops
    for n in range(ops):
        due, process = n * step, n % 97
        key = f"session-{n // 60 % 4000}"
        head = {"process": process, "f": ("sql", "sql", "chat", "session")[n % 4]}
        down = 0.400 <= n / ops < 0.403
        value: dict[str, Any] = {"key": key}
        answer: dict[str, Any] = {}
        if n % 4 == 3:
            answer = {"value": {"key": key, "ids": sessions.get(key, [])[-10:]}}
        else:
            value["id"] = f"{n:08x}-0000-4000-8000-{n:012x}"
            answer = {"value": value, "node": {"id": "pg-2", "term": 2, "system": "postgres"}}
        invoke = {"index": index, "time": due + 50_000, "type": "invoke", "intended": due, "value": value}
        yield head | invoke
        done = {"index": index + 1, "time": due + 90_000 + n % 7}
        if down:
            yield head | done | {"type": "info", "error": "timeout after 5 s"}
        else:
            if n % 4 != 3:
                sessions.setdefault(key, []).append(value["id"])
            yield head | done | {"type": "ok"} | answer
        index += 2
    for key, ids in sessions.items():
        time_ns = RUN_S * 1_000_000_000 + index
        head = {"process": 0, "f": "session", "final": True, "time": time_ns}
        yield head | {"index": index, "type": "invoke", "value": {"key": key}}
        yield head | {"index": index + 1, "type": "ok", "value": {"key": key, "ids": ids}}
        index += 2


def _measured(command: Callable[[], object]) -> tuple[float, float, float]:
    """Run `command` in a child; seconds, CPU seconds and peak resident MiB."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        command()
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"the measured process ended with status {status}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _stdlib(path: Path) -> None:
    import json

    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def main() -> int:
    """Print a table and the goals."""
    # Loaded here, so that the children share it and a round measures the work alone.
    from blackstart.measure.check import check
    from blackstart.measure.run import measure

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the history (default 1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, options.lines)
        path = folder / "history.jsonl"
        commands: dict[str, Callable[[], object]] = {
            "blackstart measure": lambda: measure(folder),
            "blackstart check": lambda: check(path),
            "json.loads alone": lambda: _stdlib(path),
        }
        print(f"{load_average()}; {options.lines} lines, {path.stat().st_size / 2**20:.0f} MiB")
        runs = [{title: _measured(work) for title, work in commands.items()} for _ in range(options.rounds)]
    best = {title: tuple(map(min, zip(*(run[title] for run in runs), strict=True))) for title in commands}
    for title, (seconds, cpu, mebibytes) in best.items():
        print(f"{title:20} {seconds:6.2f} s  {cpu:6.2f} s CPU  {mebibytes:6.0f} MiB")
    for title, (seconds, _, mebibytes) in best.items():
        if title.startswith("blackstart"):
            within = seconds <= SECONDS and mebibytes <= MEBIBYTES
            goal(f"{title} within {SECONDS:.0f} s and {MEBIBYTES:.0f} MiB", within)
    print(load_average())
    return 0


if __name__ == "__main__":
    sys.exit(main())
