"""Validity gates: what makes timings worthless, whatever the service did."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blackstart.observe.source import Emit

#: A share of stolen CPU time above this makes timings worthless (the hypervisor ran someone else).
STEAL_LIMIT = 0.25


def cpu_times(stat: str) -> tuple[int, int]:
    """(total, stolen) jiffies from the text of `/proc/stat`; its first line sums all CPUs."""
    numbers = [int(n) for n in stat.splitlines()[0].split()[1:9]]
    return sum(numbers), numbers[7]


class Gates:
    """The gates that tripped while `counting`: from a clean baseline to the end of the load."""

    def __init__(self, write: Emit) -> None:
        self._write = write
        self._lock = threading.Lock()
        self.tripped: list[str] = []
        self.counting = False

    def trip(self, gate: str) -> None:
        """Record that `gate` tripped, once; trips at other times leave the measurement alone."""
        with self._lock:
            if not self.counting or gate in self.tripped:
                return
            self.tripped.append(gate)
        self._write("gate", "trip", gate=gate)

    def event(self, source: str, event: str, **fields: Any) -> None:
        """Where event sources write: a gate that they trip goes through `trip`, all else as it is."""
        if source == "gate":
            self.trip(str(fields.get("gate")))
        else:
            self._write(source, event, **fields)


class StealGate:
    """Trips the gate `host-steal` for each second of which the hypervisor took over 25 % of the CPU time.

    On a host without `/proc/stat` it never trips.
    """

    def __init__(
        self, trip: Callable[[str], None], stat: Path = Path("/proc/stat"), every_s: float = 1.0
    ) -> None:
        self._trip, self._stat, self._every_s = trip, stat, every_s
        self._last = (0, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gate-steal", daemon=True)

    def start(self) -> None:
        """Begin to watch, from the figures of now."""
        if self._stat.exists():
            self._last = cpu_times(self._stat.read_text())
            self._thread.start()

    def stop(self) -> None:
        """Stop watching; idempotent."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _watch(self) -> None:
        total, stolen = self._last
        while not self._over.wait(self._every_s):
            now_total, now_stolen = cpu_times(self._stat.read_text())
            if now_total > total and (now_stolen - stolen) / (now_total - total) > STEAL_LIMIT:
                self._trip("host-steal")
            total, stolen = now_total, now_stolen
