"""The journal: which faults are in force and how each is undone, on disk before anything is touched."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from blackstart.faults.base import Undo
from blackstart.injection.state import boot_id, state_dir
from blackstart.model.durations import seconds
from blackstart.model.errors import HarnessError, InjectionError

FILE = "journal.jsonl"


class Step(StrEnum):
    """How far an injection is. Its process may die at each of these: what it left is undone all the same."""

    PLANNED = "planned"
    RECORDED = "recorded"
    ARMED = "armed"
    STRIKING = "striking"
    STRUCK = "struck"
    BITTEN = "bitten"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True)
class Entry:
    """A fault that the journal says is in force. `began_ns` is the monotonic clock of boot `boot_id`."""

    id: str
    fault: Mapping[str, Any]
    undo: Undo
    boot_id: str
    began_ns: int

    @property
    def overdue_s(self) -> float:
        """Seconds beyond the fault's maximum duration; negative before."""
        return (time.monotonic_ns() - self.began_ns) / 1e9 - seconds(self.fault["max_duration"])


class Journal:
    """The journal of one run: append-only JSON lines, each on disk before the call returns.

    Several processes may append at once (test process, watchdog, `heal`).
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.path = state_dir(run_id) / FILE
        self._lock = threading.Lock()

    def record(self, fault: Mapping[str, Any], undo: Undo) -> str:
        """Enter a fault that is about to be injected; returns the entry's id.

        InjectionError if it cannot be written: then nothing may be injected.
        """
        entry = uuid.uuid4().hex[:12]
        try:
            self._append(
                {
                    "entry": "inject",
                    "id": entry,
                    "fault": dict(fault),
                    "undo": undo.to_dict(),
                    "boot_id": boot_id(),
                    "began_ns": time.monotonic_ns(),
                    "wall": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                }
            )
        except (OSError, HarnessError) as error:
            raise InjectionError(f"nothing injected: the journal cannot be written: {error}") from error
        return entry

    def close(self, entry: str, by: str = "run") -> None:
        """Note that a fault is undone. A disk that is full then costs a second, harmless undo, no more."""
        try:
            self._append({"entry": "undone", "id": entry, "by": by})
        except (OSError, HarnessError):
            return

    def in_force(self) -> list[Entry]:
        """The faults not known to be undone, newest first, as their undos must go."""
        found: dict[str, Entry] = {}
        for line in self._lines():
            if line["entry"] == "inject":
                found[line["id"]] = Entry(
                    line["id"], line["fault"], Undo.from_dict(line["undo"]), line["boot_id"], line["began_ns"]
                )
            else:
                found.pop(line["id"], None)
        return list(reversed(found.values()))

    def _lines(self) -> list[dict[str, Any]]:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        lines = []
        for text in raw.split(b"\n"):
            # A line torn by a crash names no fault in force: a fault strikes only after its line is whole.
            with contextlib.suppress(ValueError):
                lines.append(json.loads(text))
        return lines

    def _append(self, line: Mapping[str, Any]) -> None:
        state_dir(self.run_id, create=True)
        fresh = not self.path.exists()
        # A leading newline keeps this line whole if the one before was torn.
        data = b"\n" + json.dumps(line, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if os.write(handle, data) != len(data):
                    raise OSError("the disk is full")
                os.fsync(handle)
            finally:
                os.close(handle)
            if fresh:
                _sync_folder(str(self.path.parent))


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
