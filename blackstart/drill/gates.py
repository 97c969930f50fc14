"""Validity gates: what makes timings worthless, whatever the service did."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from blackstart.observe.source import Emit

#: A share of stolen CPU time above this makes timings worthless (the hypervisor ran someone else).
STEAL_LIMIT = 0.25
#: So much of it is enough where nothing is left idle: on a machine that was nearly full, work then queues up.
STEAL_LIMIT_FULL = 0.1
FULL = 0.05
#: More than this is too much whatever the bounds.
STEAL_LIMIT_EVER = 0.6
#: A second in which less than this was stolen is a calm one.
CALM = 0.1

PROC_STAT = Path("/proc/stat")


class CpuTimes(NamedTuple):
    """Jiffies since boot, over all CPUs."""

    total: int
    idle: int
    stolen: int


def cpu_times(stat: str) -> CpuTimes:
    """From the text of `/proc/stat`, whose first line sums all CPUs; waiting for a disk is idle."""
    numbers = [int(n) for n in stat.splitlines()[0].split()[1:9]]
    return CpuTimes(sum(numbers), numbers[3] + numbers[4], numbers[7])


class Gates:
    """The gates that tripped while `counting`: from a clean baseline to the end of the load."""

    def __init__(self, write: Emit) -> None:
        self._write = write
        self._lock = threading.Lock()
        self.tripped: list[str] = []
        self.counting = False
        self._struck: set[str] = set()

    def strike(self, instances: Iterable[str]) -> None:
        """A fault strikes `instances`: what stops them then is the drill's doing, not the machine's."""
        with self._lock:
            self._struck.update(instances)

    def trip(self, gate: str, instance: str | None = None) -> None:
        """Record that `gate` tripped, once; trips at other times leave the measurement alone.

        `instance` is the one that noticed; one that a fault has struck proves nothing.
        """
        with self._lock:
            if not self.counting or gate in self.tripped or instance in self._struck:
                return
            self.tripped.append(gate)
        self._write("gate", "trip", gate=gate)

    def event(self, source: str, event: str, **fields: Any) -> None:
        """Where event sources write: a gate that they trip goes through `trip`, all else as it is."""
        if source == "gate":
            self.trip(str(fields.get("gate")), fields.get("instance"))
        else:
            self._write(source, event, **fields)


class StealGate:
    """Trips the gate `host-steal` when the hypervisor took too much of the CPU time of `window` samples.

    Too much is over 25 %, or over 10 % where less than 5 % was idle. One second alone is what any shared
    machine loses now and then, and bounds have room for it; three are not. Where timings are judged by
    `ceilings` times their bounds, so much more is too much, 60 % at most. On a host without `/proc/stat` it
    never trips.
    """

    def __init__(
        self,
        trip: Callable[[str], None],
        stat: Path = PROC_STAT,
        every_s: float = 1.0,
        window: int = 3,
        ceilings: float = 1.0,
    ) -> None:
        self._ceilings = ceilings
        self._trip, self._stat, self._every_s = trip, stat, every_s
        self._samples: deque[CpuTimes] = deque(maxlen=window + 1)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gate-steal", daemon=True)

    def start(self) -> None:
        """Begin to watch, from the figures of now."""
        if self._stat.exists():
            self._samples.append(cpu_times(self._stat.read_text()))
            self._thread.start()

    def stop(self) -> None:
        """Stop watching; idempotent."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            self._samples.append(cpu_times(self._stat.read_text()))
            full = len(self._samples) == self._samples.maxlen
            if full and _starved(self._samples[0], self._samples[-1], self._ceilings):
                self._trip("host-steal")


def _starved(first: CpuTimes, last: CpuTimes, ceilings: float) -> bool:
    idle, stolen = _shares(first, last)
    limit = STEAL_LIMIT_FULL if idle < FULL else STEAL_LIMIT
    return stolen > min(limit * ceilings, STEAL_LIMIT_EVER)


def _shares(first: CpuTimes, last: CpuTimes) -> tuple[float, float]:
    """Of the CPU time between two samples, the shares that were idle and stolen."""
    total = max(last.total - first.total, 1)
    return (last.idle - first.idle) / total, (last.stolen - first.stolen) / total


def await_calm(
    stopped: threading.Event,
    stat: Path = PROC_STAT,
    every_s: float = 1.0,
    calm: int = 5,
    limit_s: float = 60.0,
) -> bool:
    """Wait until little was stolen in each of `calm` samples in a row; False if it was not, or `stopped`.

    A trial that is run again at once would meet the neighbour that spoilt the first.
    """
    if not stat.exists():
        return True
    end = time.monotonic() + limit_s
    last, quiet = cpu_times(stat.read_text()), 0
    while quiet < calm:
        if time.monotonic() > end or stopped.wait(every_s):
            return False
        now = cpu_times(stat.read_text())
        _, stolen = _shares(last, now)
        quiet = 0 if stolen > CALM else quiet + 1
        last = now
    return True
