"""Writes `events.jsonl` as things happen, and the header of a history."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from blackstart.model.errors import EvidenceError


def history_header(start_ns: int, wall: datetime | None = None) -> bytes:
    """The first line of a history, with its newline; `start_ns` is the monotonic clock's value at time 0."""
    wall = wall or datetime.now(UTC)
    header = {"blackstart": 1, "clock": "monotonic_ns", "start_ns": start_ns, "wall": wall.isoformat()}
    return orjson.dumps(header) + b"\n"


class EventWriter:
    """The one writer of a run's events; any thread may write, each line reaches the file at once.

    `clock` gives ns since the run's start. Raises EvidenceError if the file is there already (the events of
    two runs in one file are of use to neither) or cannot be written (the disk is full, say), TypeError for a
    field that is no JSON, ValueError once closed.
    """

    def __init__(self, path: str | Path, clock: Callable[[], int]) -> None:
        self.path = Path(path)
        self._clock = clock
        self._last = 0
        self._lock = threading.Lock()
        self._size = 0
        try:
            self._file = self.path.open("xb", buffering=0)
        except FileExistsError:
            raise EvidenceError(str(self.path), "is there already: the folder holds a run") from None
        except OSError as error:
            raise EvidenceError(str(self.path), f"cannot be written: {error.strerror}") from error

    def write(self, source: str, event: str, **fields: Any) -> int:
        """Append one event and return its time, ns since the start."""
        # Stamped under the lock: times in the file never go back, whatever thread comes first.
        with self._lock:
            self._last = time = max(self._last, self._clock())
            line = orjson.dumps({"time": time, "source": source, "event": event, **fields}) + b"\n"
            view = memoryview(line)
            try:
                while view:
                    view = view[self._file.write(view) :]
            except OSError as error:
                # Half a line must not spoil the next one, should there be room again.
                with contextlib.suppress(OSError):
                    self._file.seek(self._size)
                    self._file.truncate()
                raise EvidenceError(str(self.path), f"cannot be written: {error.strerror}") from error
            self._size += len(line)
            return time

    def close(self) -> None:
        """Close the file; closing twice is no error."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
