"""How exactly is an outage measured? Ours, k6's and Chaos Toolkit's error against outages of known length.

    python -m benchmarks.rto_precision [--outages 100] [--rate 200] [--seed 1]

A local server refuses (503) in windows of random length, 0.25 to 0.75 s, and notes when each began and ended.
All three watch it at the same time, and server and tools run at the same real-time priority: ours and k6 at
`--rate` requests a second, Chaos Toolkit by its continuous steady-state hypothesis at its finest, 0.1 s. Each
one's own record is turned into a history, and all are measured by the same code: the length of an outage is
the middle of its bounds. The error is against the truth.

Who looks every T can do no better than T/3 on average, whatever the tool: an outage begins and ends anywhere
between two looks, so the error is a difference of two uniform variables. At 200/s that is 1.67 ms. Means have
95 % confidence intervals; ours and k6's are compared outage by outage.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from benchmarks import k6, peers
from benchmarks.stats import goal, load_average, mean
from blackstart.history.writer import history_header
from blackstart.load.operations import HttpOperation, LoadPlan
from blackstart.load.process import LoadProcess
from blackstart.measure.run import EVENTS, HISTORY, measure

#: Before the first outage; and between two, more than the second within which two would be one.
LEAD_S, GAP_S = 4.0, 1.2
#: Chaos Toolkit looks every 0.1 s at most.
CHAOS_EVERY_S = 0.1

#: When a request was sent and answered, seconds on one clock, and whether well.
Sample = tuple[float, float, bool]

SCRIPT = """
import http from 'k6/http';
export const options = { scenarios: { get: { executor: 'constant-arrival-rate', rate: %(rate)d,
  timeUnit: '1s', duration: '%(seconds)ds', preAllocatedVUs: 50, maxVUs: 200 } } };
export default function () { http.get('%(url)s', { timeout: '2s' }); }
"""


@dataclass(frozen=True)
class Span:
    """An outage: when it began, and how long it lasted; seconds."""

    begin: float
    length: float

    @property
    def middle(self) -> float:
        """Where it is looked for."""
        return self.begin + self.length / 2


def windows(count: int, seed: int) -> list[tuple[float, float]]:
    """Begin and end of each outage, seconds after the start."""
    draw, at, found = random.Random(seed), LEAD_S, []
    for _ in range(count):
        length = draw.uniform(0.25, 0.75)
        found.append((at, at + length))
        at += length + GAP_S
    return found


def serve(outages: list[tuple[float, float]], told: multiprocessing.Queue[Any]) -> None:
    """Answer 200, or 503 within the windows, until killed; tells its port, then (begin, end) as they were."""

    async def main() -> None:
        state = {"bad": False}

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def data_received(self, data: bytes) -> None:
                head = b"503 Service Unavailable" if state["bad"] else b"200 OK"
                for _ in range(data.count(b"\r\n\r\n")):
                    answer = b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % head
                    self.transport.write(answer)  # type: ignore[attr-defined]

        with contextlib.suppress(OSError):  # where it is allowed: a server that waits for the CPU lies
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Server, "127.0.0.1", 0)
        told.put(server.sockets[0].getsockname()[1])
        start = time.monotonic()
        told.put(start)
        for begin, end in outages:
            await asyncio.sleep(start + begin - time.monotonic())
            state["bad"], began = True, time.monotonic()
            await asyncio.sleep(start + end - time.monotonic())
            state["bad"], ended = False, time.monotonic()
            told.put((began, ended))
        await asyncio.Event().wait()

    asyncio.run(main())


def outages(folder: Path) -> list[Span]:
    """Those in the folder's history, each as long as the middle of its bounds."""
    (folder / EVENTS).touch()
    return [Span(o["begin_s"], (o["lo_s"] + o["hi_s"]) / 2) for o in measure(folder)["outages"]]


def as_history(samples: Iterable[Sample], folder: Path) -> Path:
    """Write what another tool recorded as a history of ours, so that all are measured by one rule."""
    lines: list[tuple[int, int, dict[str, Any]]] = []
    for process, (sent, answered, ok) in enumerate(sorted(samples)):
        begin, end = round(sent * 1e9), round(answered * 1e9)
        lines.append((begin, 0, {"process": process, "type": "invoke", "f": "get", "intended": begin}))
        lines.append((max(begin, end), 1, {"process": process, "type": "ok" if ok else "fail", "f": "get"}))
    folder.mkdir()
    with (folder / HISTORY).open("wb") as file:
        file.write(history_header(0))
        for index, (at, _, line) in enumerate(sorted(lines, key=lambda entry: entry[:2])):
            file.write(orjson.dumps({"index": index, "time": at, **line}) + b"\n")
    return folder


def k6_samples(record: Path, zero: float) -> list[Sample]:
    """Every request in k6's record; `zero`: the wall clock's time of 0. It stamps the answers."""
    return [
        (answered - zero - took_ms / 1000, answered - zero, tags["status"] == "200")
        for answered, took_ms, tags in k6.points(record, "http_req_duration")
    ]


def chaos_samples(journal: dict[str, Any], zero: float) -> list[Sample]:
    """Every check of the continuous hypothesis in Chaos Toolkit's journal."""

    def at(stamp: str) -> float:
        return datetime.fromisoformat(stamp).timestamp() - zero

    checks = ((state["probes"][-1], state) for state in journal["steady_states"]["during"])
    return [(at(p["start"]), at(p["end"]), bool(state["steady_state_met"])) for p, state in checks]


def errors(truth: Sequence[Span], found: Sequence[Span]) -> list[float | None]:
    """By true outage: how many ms the one outage found there is too long or short; None if not just one."""
    missed: list[float | None] = []
    for true in truth:
        here = [
            span
            for span in found
            if true.begin - GAP_S / 2 < span.middle < true.begin + true.length + GAP_S / 2
        ]
        missed.append(abs(here[0].length - true.length) * 1000 if len(here) == 1 else None)
    return missed


def experiment(url: str, seconds: float) -> dict[str, Any]:
    """A pause under a continuous hypothesis."""
    probe = {
        "type": "probe",
        "name": "answers",
        "tolerance": 200,
        "provider": {"type": "http", "url": url, "timeout": 2},
    }
    wait = {"type": "process", "path": "sleep", "arguments": f"{seconds:.1f}", "timeout": seconds + 10}
    return {
        "title": "outages",
        "description": "outages of known length",
        "steady-state-hypothesis": {"title": "it answers", "probes": [probe]},
        "method": [{"type": "action", "name": "wait", "provider": wait}],
        "rollbacks": [],
    }


def main() -> int:
    """Print a table and the goals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--outages", type=int, default=100, help="how many; 1.7 s each (default 100)")
    parser.add_argument("--rate", type=int, default=200, help="requests a second of ours and of k6")
    parser.add_argument("--seed", type=int, default=1, help="of the outages' lengths (default 1)")
    options = parser.parse_args()
    planned = windows(options.outages, options.seed)
    print(load_average())
    with tempfile.TemporaryDirectory() as name:
        report(*watch(planned, options.rate, Path(name)), options.rate)
    return 0


def watch(
    planned: list[tuple[float, float]], rate: int, folder: Path
) -> tuple[list[Span], dict[str, list[Span]]]:
    """Let all three watch a server fail as planned; the true outages, and those found by tool."""
    length = planned[-1][1] + 3
    binary, chaos = peers.k6(), peers.chaos_toolkit()
    told: multiprocessing.Queue[Any] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(planned, told), daemon=True)
    processes: list[subprocess.Popen[bytes]] = []
    load: LoadProcess | None = None
    try:
        server.start()
        url = f"http://127.0.0.1:{told.get(timeout=10)}/"
        told.get(timeout=10)
        start_ns, wall = time.monotonic_ns(), time.time()
        get = HttpOperation(f="get", rate=rate, urls=(url.rstrip("/"),), path="/", deadline="2s")
        load = LoadProcess(LoadPlan(operations=(get,)), folder, start_ns)
        load.start()
        if binary:
            script = folder / "script.js"
            script.write_text(SCRIPT % {"rate": rate, "seconds": length, "url": url})
            argv = [
                *peers.real_time(),
                binary,
                "run",
                "--quiet",
                "--no-usage-report",
                "--out",
                f"json={folder}/k6.json",
            ]
            processes.append(subprocess.Popen([*argv, str(script)], stdout=subprocess.DEVNULL))
        if chaos:
            plan = folder / "experiment.json"
            plan.write_text(json.dumps(experiment(url, length - 2)))
            argv = [
                *peers.real_time(),
                chaos,
                "--no-version-check",
                "--log-file",
                f"{folder}/chaos.log",
                "run",
            ]
            argv += ["--journal-path", f"{folder}/journal.json", "--hypothesis-strategy", "continuously"]
            argv += ["--hypothesis-frequency", str(CHAOS_EVERY_S), str(plan)]
            processes.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        zero = start_ns / 1e9
        spans = (told.get(timeout=length + 60) for _ in planned)
        truth = [Span(begin - zero, end - begin) for begin, end in spans]
        load.stop()
        for process in processes:
            process.wait(120)
    finally:
        if load is not None:
            load.kill()
        server.kill()
        for process in processes:
            process.kill()
    found = {"blackstart": outages(folder)}
    if binary:
        found["k6"] = outages(as_history(k6_samples(folder / "k6.json", wall), folder / "k6"))
    if chaos:
        journal = json.loads((folder / "journal.json").read_text())
        found["Chaos Toolkit"] = outages(as_history(chaos_samples(journal, wall), folder / "chaos"))
        print(
            f"Chaos Toolkit says that the system {'deviated' if journal['deviated'] else 'did not deviate'}"
        )
    return truth, found


def report(truth: list[Span], found: dict[str, list[Span]], rate: int) -> None:
    """Print errors by tool and the goals."""
    lengths = [span.length for span in truth]
    print(f"{len(truth)} outages of {min(lengths):.2f} to {max(lengths):.2f} s")
    print(
        f"the least mean error: {1000 / rate / 3:.2f} ms at {rate}/s, {CHAOS_EVERY_S * 1000 / 3:.1f} at 0.1 s"
    )
    missed = {name: errors(truth, spans) for name, spans in found.items()}
    means: dict[str, float] = {}
    for name, each in missed.items():
        seen = [error for error in each if error is not None]
        if not seen:
            print(f"{name:14} found none of {len(truth)}")
            continue
        average = mean(seen)
        means[name] = average.value
        print(f"{name:14} error mean {average} ms, max {max(seen):.2f} ms; found {len(seen)} of {len(truth)}")
    if "blackstart" not in means:
        goal("ours finds the outages", False)
        return
    if "k6" in means:
        pairs = zip(missed["blackstart"], missed["k6"], strict=True)
        apart = mean([a - b for a, b in pairs if a is not None and b is not None])
        met = True if apart.value <= 0 else None if apart.value <= apart.margin else False
        goal(f"mean error at most k6's (ours less k6's, outage by outage: {apart} ms)", met)
    if "Chaos Toolkit" in means:
        times = means["Chaos Toolkit"] / means["blackstart"]
        goal(f"mean error at most a tenth of Chaos Toolkit's ({times:.0f} times less)", times >= 10)


if __name__ == "__main__":
    sys.exit(main())
