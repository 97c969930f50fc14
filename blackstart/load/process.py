"""The engine's side of the load client."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from blackstart.load.operations import LoadPlan
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import LoadError

HISTORY = "history.jsonl"
_KEEP = 60


class LoadProcess:
    """The load client of one run, writing `folder/history.jsonl` on the clock of `start_ns`.

    `on_line`, if set, is called with every line that the client prints, in a thread of its own. All waits
    have a limit and raise LoadError, with the client's own words, when it passes or the client dies.
    """

    def __init__(
        self,
        plan: LoadPlan,
        folder: Path,
        start_ns: int,
        on_line: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._plan, self._folder, self._start_ns = plan, folder, start_ns
        self.on_line = on_line
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._lines: deque[dict[str, Any]] = deque(maxlen=_KEEP)
        self._reports = 0
        self._events: dict[str, dict[str, Any]] = {}
        self._stderr: deque[str] = deque(maxlen=20)
        self._ended = False
        self._threads: list[threading.Thread] = []

    @property
    def history(self) -> Path:
        """Where the operations are recorded."""
        return self._folder / HISTORY

    @property
    def pid(self) -> int | None:
        """The client's process id; None before start."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """True while the client runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def latest(self) -> dict[str, Any] | None:
        """The client's last report (one a second); None before the first."""
        with self._changed:
            return self._lines[-1] if self._lines else None

    def start(self, limit: Duration = 15) -> None:
        """Start the client and wait until its schedule runs."""
        if self._process is not None:
            raise LoadError("the load client was started already")
        argv = [sys.executable, "-m", "blackstart.load.client", "--plan", "-", "--out", str(self.history)]
        self._process = subprocess.Popen(
            [*argv, "--start-ns", str(self._start_ns)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the engine, which stops the load in order
        )
        for target in (self._read_stdout, self._read_stderr):
            thread = threading.Thread(target=target, name=f"load-{target.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._send(orjson.dumps(self._plan.to_dict()).decode())
        self._await_event("ready", limit)

    def wait_clean(
        self,
        seconds: float = 1.0,
        ratio: float = 0.99,
        limit: Duration = 15,
        unless: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait for a baseline: `seconds` in a row, reported from now on, in which every kind had an ok, at
        least `ratio` of the completions were ok, and the client itself was in time.

        Ends early once `unless()` holds, looked at once a second. Raises LoadError.
        """
        wanted = max(1, round(seconds))
        kinds = {operation.f for operation in self._plan.operations if operation.rate * wanted >= 2}
        before = self._reports

        def clean() -> bool:
            recent = list(self._lines)[-wanted:]
            seen = {f for line in recent for f, counts in line["per_f"].items() if counts["ok"]}
            return unless() or (
                self._reports - before >= wanted
                and kinds <= seen
                and all(_is_clean(line, ratio) for line in recent)
            )

        if not self._wait(clean, limit):
            last = orjson.dumps(self.latest).decode()
            raise LoadError(
                f"clients were not well for {wanted} s in a row ({ratio:.0%} ok) within {_limit(limit)}; "
                f"last second: {last}"
            )

    def turn_to(self, rates: Mapping[str, float]) -> None:
        """Change the rates (per second) of these kinds from now on; ConfigError for an unknown one."""
        changed = self._plan.at_rates({**{o.f: o.rate for o in self._plan.operations}, **rates})
        for operation in changed.operations:
            if operation.f in rates:
                self._send(f"rate {operation.f} {operation.rate}")

    def stop(self, limit: Duration = 30) -> None:
        """Stop issuing and wait until all operations have ended, at the latest at their deadlines."""
        self._send("stop")
        self._await_event("stopped", limit)

    def final_reads(self, limit: Duration = 30) -> list[str]:
        """Do the closing reads, each key until it answers or `limit` passes; ends the client.

        Returns the keys that did not answer (the checker will call them never read).
        """
        self._send(f"final {seconds(limit)}")
        longest = max((seconds(each.deadline) for each in self._plan.closing), default=0.0)
        event = self._await_event("final", seconds(limit) + longest + 10)
        self._finish()
        return list(event["unread"])

    def kill(self) -> None:
        """End the client at once, whatever it does; no error if it never ran or is gone. Idempotent."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._finish()

    def _finish(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():  # a callback may kill the load
                thread.join(5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def _send(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise LoadError("the load client was not started")
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise LoadError(self._obituary()) from error

    def _await_event(self, name: str, limit: Duration) -> dict[str, Any]:
        if not self._wait(lambda: name in self._events, limit):
            raise LoadError(f"the load client was not {name} after {_limit(limit)}")
        return self._events[name]

    def _wait(self, condition: Callable[[], bool], limit: Duration) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: condition() or self._ended, seconds(limit))
            if condition():
                return True
            ended = self._ended
        if ended:
            raise LoadError(self._obituary())
        return False

    def _obituary(self) -> str:
        assert self._process is not None
        try:
            status: int | str = self._process.wait(2)
        except subprocess.TimeoutExpired:
            status = "none yet"
        if len(self._threads) == 2:
            self._threads[1].join(2)
        said = "\n".join(self._stderr) or "it said nothing"
        return f"the load client ended (status {status}): {said}"

    def _read_stdout(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        try:
            for raw in self._process.stdout:
                self._take(orjson.loads(raw))
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _take(self, line: dict[str, Any]) -> None:
        with self._changed:
            if "event" in line:
                self._events[line["event"]] = line
            else:
                self._lines.append(line)
                self._reports += 1
            self._changed.notify_all()
        if self.on_line is not None:
            self.on_line(line)

    def _read_stderr(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        for raw in self._process.stderr:
            self._stderr.append(raw.decode(errors="replace").rstrip())


def _is_clean(line: dict[str, Any], ratio: float) -> bool:
    ended = line["ok"] + line["fail"] + line["info"]
    return ended > 0 and line["ok"] >= ratio * ended and "gate" not in line


def _limit(limit: Duration) -> str:
    return human(seconds(limit))
