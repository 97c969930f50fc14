"""The load client: a process of its own, so that the engine's work never delays an operation.

    python -m blackstart.load.client --plan plan.json --out history.jsonl --start-ns N

Reads lines on stdin: `rate <kind> <per second>` changes a rate; `stop` (or SIGTERM, SIGINT) stops issuing and
drains; `final [seconds]` does the closing reads and ends the process; end of file means that the parent is
gone, and ends it at once. Writes a JSON line a second on stdout (see meter.py), and one with `event` for
ready, stopped and final. Exit status: 0 after stop or final, 1 if the parent went away in mid-load, 3 with a
message on stderr for any trouble.
With `--plan -` the first line of stdin is the plan, so that its secrets never reach a disk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from blackstart.load.meter import Meter
from blackstart.load.operations import LoadPlan
from blackstart.load.recorder import Recorder
from blackstart.load.runner import Runner
from blackstart.model.durations import seconds
from blackstart.model.errors import ConfigError, HarnessError

FINAL_LIMIT = 30.0
_NICE = -10
_RUNAWAY_US = 5_000_000


def lines(fd: int) -> Iterator[str]:
    """Lines of a file descriptor until its end; no buffer that a thread could hold at exit."""
    rest = b""
    while chunk := os.read(fd, 65536):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)


class Client:
    """The life of the process: run, stop, closing reads."""

    def __init__(self, plan: LoadPlan, recorder: Recorder, run: str) -> None:
        self._plan, self._recorder = plan, recorder
        self._meter = Meter()
        self._run = run
        self._commands: asyncio.Queue[str | None] = asyncio.Queue()

    async def main(self, stdin: Iterator[str]) -> int:
        """Run until told to end; returns the exit status. Raises LoadError if the history is not writable."""
        loop = asyncio.get_running_loop()
        put = self._commands.put_nowait
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, put, "stop")
        reader = threading.Thread(target=_forward, args=(stdin, loop, put), name="stdin", daemon=True)
        reader.start()
        runner = Runner(self._plan, self._recorder, self._meter, self._run)
        await runner.warm()
        _settle_memory()
        runner.start()
        tell({"event": "ready", "run": self._run, "pid": os.getpid()})
        end = loop.call_later(seconds(self._plan.max_duration), put, "stop")
        reports = asyncio.create_task(self._report(runner))
        stopped = False
        try:
            while True:
                command = await self._next(runner)
                if command is None:
                    return 0 if stopped else 1
                word, _, argument = command.partition(" ")
                if word == "rate" and not stopped:
                    f, _, rate = argument.rpartition(" ")
                    runner.turn_to(f, float(rate))
                if word in ("stop", "final") and not stopped:
                    end.cancel()
                    runner.stop()
                    await runner.drain()
                    await runner.close()
                    reports.cancel()
                    stopped = True
                    tell({**self._line(runner), "event": "stopped"})
                if word == "final":
                    read, unread = await runner.final_reads(float(argument or FINAL_LIMIT))
                    tell({"event": "final", "read": read, "unread": unread})
                    return 0
        finally:
            reports.cancel()

    async def _next(self, runner: Runner) -> str | None:
        command = asyncio.ensure_future(self._commands.get())
        await asyncio.wait((command, runner.failed), return_when=asyncio.FIRST_COMPLETED)
        if runner.failed.done():
            command.cancel()
            runner.failed.result()
        return command.result()

    async def _report(self, runner: Runner) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            at += 1.0
            await asyncio.sleep(max(0.0, at - loop.time()))
            tell(self._line(runner))
            gc.collect(1)

    def _line(self, runner: Runner) -> dict[str, Any]:
        return self._meter.line(self._recorder.now() / 1e9, runner.in_flight)


def _forward(
    stdin: Iterator[str], loop: asyncio.AbstractEventLoop, put: Callable[[str | None], None]
) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
        for line in stdin:
            loop.call_soon_threadsafe(put, line.strip())
        loop.call_soon_threadsafe(put, None)


def _settle_memory() -> None:
    """Take what is loaded out of the collector's sight; collect young garbage once a second by hand."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _take_precedence() -> None:
    """Run before ordinary processes, where that is allowed: an instrument that waits for the CPU measures
    itself (on two cores with ten busy processes, start lag p99 falls from 27 to under 1 ms).

    Real-time scheduling, with a limit on CPU without a pause, so that a bug cannot hold a core; else nice.
    """
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (_RUNAWAY_US, _RUNAWAY_US))
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except (OSError, ValueError, AttributeError):  # not Linux, or not permitted
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)


def tell(line: dict[str, Any]) -> None:
    """Print one JSON line; dropped if nobody reads, since a full pipe must not stall the load."""
    with contextlib.suppress(OSError):
        if select.select([], [1], [], 0)[1]:
            os.write(1, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="blackstart.load.client", description="Open-loop load client.")
    parser.add_argument("--plan", required=True, help="plan in JSON; - takes the first line of stdin")
    parser.add_argument("--out", required=True, type=Path, help="history to write; must not exist")
    parser.add_argument(
        "--start-ns", type=int, help="zero of the history's clock (monotonic ns); default: now"
    )
    options = parser.parse_args(arguments)
    stdin = lines(0)
    try:
        plan = LoadPlan.from_json(next(stdin, "") if options.plan == "-" else _text(Path(options.plan)))
        start_ns = options.start_ns if options.start_ns is not None else time.monotonic_ns()
        recorder = Recorder(options.out, start_ns)
        _take_precedence()
        client = Client(plan, recorder, f"{time.monotonic_ns() // 1_000_000:x}")
        status = _loop_run(client.main(stdin))
        recorder.close()
    except HarnessError as error:
        print(f"load client: {error}", file=sys.stderr)
        return 3
    return status


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigError(f"cannot read the plan {path}: {error.strerror}") from error


def _loop_run(main: Any) -> int:
    try:
        import uvloop
    except ImportError:  # no uvloop on this platform: slower, still right
        return int(asyncio.run(main))
    return int(uvloop.run(main))


if __name__ == "__main__":
    sys.exit(main())
