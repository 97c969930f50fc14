"""The history of a run, written as it happens (format: docs/history-format.md)."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from blackstart.history.writer import history_header
from blackstart.load.outcome import Outcome
from blackstart.model.errors import LoadError


class Recorder:
    """Appends one line at a time to a new file, each handed to the operating system at once.

    So an invoke is on record before its request leaves, and a crash of this process loses nothing. Single
    threaded: the time of a line is taken as it is written, hence never decreases. `clock` gives ns on the
    clock of `start_ns`. Raises LoadError if the file exists or cannot be written.
    """

    def __init__(self, path: Path, start_ns: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._path, self._start, self._clock = path, start_ns, clock
        self._index = 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise LoadError(f"cannot write the history {path}: {error.strerror}") from error
        wall = datetime.datetime.now(datetime.UTC) - datetime.timedelta(microseconds=self.now() / 1000)
        self._write(history_header(start_ns, wall))

    def now(self) -> int:
        """ns since `start_ns`."""
        return self._clock() - self._start

    def invoke(
        self, process: int, f: str, intended: int, value: dict[str, Any] | None, *, final: bool = False
    ) -> int:
        """Record a start before it happens; returns its time."""
        return self._line(process, "invoke", f, {"intended": intended}, value, final)

    def complete(
        self, process: int, f: str, outcome: Outcome, value: dict[str, Any] | None, *, final: bool = False
    ) -> int:
        """Record an end as soon as it is known; returns its time."""
        more: dict[str, Any] = {}
        if outcome.error is not None:
            more["error"] = outcome.error
        if outcome.node is not None:
            more["node"] = outcome.node
        if outcome.ids is not None:
            value = {**(value or {}), "ids": outcome.ids}
        more.update(outcome.fields)
        return self._line(process, outcome.type, f, more, value, final)

    def close(self) -> None:
        """Flush to the disk and close."""
        os.fsync(self._file)
        os.close(self._file)

    def _line(
        self, process: int, kind: str, f: str, more: dict[str, Any], value: dict[str, Any] | None, final: bool
    ) -> int:
        at = self.now()
        line = {"index": self._index, "time": at, "process": process, "type": kind, "f": f, **more}
        if value is not None:
            line["value"] = value
        if final:
            line["final"] = True
        self._index += 1
        self._write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        return at

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise LoadError(f"cannot write the history {self._path}: {error.strerror}") from error
