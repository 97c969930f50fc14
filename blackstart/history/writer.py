"""Writes `events.jsonl` as things happen, and the header of a history."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson


def history_header(start_ns: int, wall: datetime | None = None) -> bytes:
    """The first line of a history, with its newline; `start_ns` is the monotonic clock's value at time 0."""
    wall = wall or datetime.now(UTC)
    header = {"blackstart": 1, "clock": "monotonic_ns", "start_ns": start_ns, "wall": wall.isoformat()}
    return orjson.dumps(header) + b"\n"


class EventWriter:
    """The one writer of a run's events; any thread may write, each line reaches the file at once.

    `clock` gives ns since the run's start. Raises OSError when the disk is full, TypeError for a field
    that is no JSON, ValueError once closed.
    """

    def __init__(self, path: str | Path, clock: Callable[[], int]) -> None:
        self.path = Path(path)
        self._clock = clock
        self._last = 0
        self._lock = threading.Lock()
        self._file = self.path.open("ab", buffering=0)

    def write(self, source: str, event: str, **fields: Any) -> int:
        """Append one event and return its time, ns since the start."""
        # Stamped under the lock: times in the file never go back, whatever thread comes first.
        with self._lock:
            self._last = time = max(self._last, self._clock())
            line = orjson.dumps({"time": time, "source": source, "event": event, **fields}) + b"\n"
            view = memoryview(line)
            while view:
                view = view[self._file.write(view) :]
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
