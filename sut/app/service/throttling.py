"""How much of its time this container is denied the processor by its own limit, as the kernel counts it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

#: Where the kernel counts a container's periods: cgroup v2, else v1.
STATS = (Path("/sys/fs/cgroup/cpu.stat"), Path("/sys/fs/cgroup/cpu/cpu.stat"))
PERIOD_S = 0.1  # of Docker's and Kubernetes' limits


class Throttling:
    """The share of the last `window` seconds whose periods ended throttled; 0 without a limit.

    A health check is cheap: who may have a fiftieth of a processor answers it in time, and a chat in four
    seconds. A machine that is busy throttles nobody, so neighbours' load is not seen here.
    """

    def __init__(
        self,
        stats: Sequence[Path] = STATS,
        *,
        window: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stats = next((path for path in stats if path.exists()), None)
        self._window = window
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def share(self) -> float:
        """Between 0 and 1, over the looks of the window; 0 until these span two seconds."""
        now = self._clock()
        self._seen.append((now, self._throttled()))
        while len(self._seen) > 2 and now - self._seen[1][0] >= self._window:
            self._seen.popleft()
        began, before = self._seen[0]
        if now - began < 2.0:
            return 0.0
        return min(1.0, (self._seen[-1][1] - before) * PERIOD_S / (now - began))

    def _throttled(self) -> int:
        """Throttled periods since the container began; 0 where the kernel does not say."""
        try:
            lines = self._stats.read_text().splitlines() if self._stats else []
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("nr_throttled ")), 0)
