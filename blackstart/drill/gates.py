"""Validity gates on the machine that the drill runs on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

#: A share of stolen CPU time above this makes timings worthless (the hypervisor ran someone else).
STEAL_LIMIT = 0.25


def cpu_times(stat: str) -> tuple[int, int]:
    """(total, stolen) jiffies from the text of `/proc/stat`; its first line sums all CPUs."""
    numbers = [int(n) for n in stat.splitlines()[0].split()[1:9]]
    return sum(numbers), numbers[7]


class StealGate:
    """Trips the gate `host-steal` once if the hypervisor took over 25 % of the CPU time for a second.

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
                return
            total, stolen = now_total, now_stolen
