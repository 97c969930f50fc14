"""What the load reports of itself, once a second."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

GATE_LAG_MS = 250.0
"""Own start lag (ms) from which a second's timing is not to be believed."""


def nearest_rank(ordered: list[float], share: float) -> float:
    """The nearest-rank percentile `share` (0..1) of sorted values; 0 of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


class Meter:
    """Counts starts and ends; `line()` gives what was counted since the last one and begins anew."""

    def __init__(self) -> None:
        self._cpu = time.process_time()
        self._clear()

    def _clear(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._lags: list[float] = []
        self._errors: Counter[str] = Counter()

    def started(self, f: str, lag_ns: int) -> None:
        """An operation was due and its invoke is on record, `lag_ns` after it was due."""
        self._count(f)["due"] += 1
        self._lags.append(lag_ns / 1e6)

    def ended(self, f: str, kind: str, error: str | None) -> None:
        """An operation ended ok, fail or info."""
        self._count(f)[kind] += 1
        if error is not None:
            self._errors[f"{f}: {error}"] += 1

    def _count(self, f: str) -> Counter[str]:
        if f not in self._counts:
            self._counts[f] = Counter(due=0, ok=0, fail=0, info=0)
        return self._counts[f]

    def line(self, t: float, in_flight: int) -> dict[str, Any]:
        """The second that ends `t` seconds after the start; `cpu_ms` is this process's own."""
        totals: Counter[str] = Counter(due=0, ok=0, fail=0, info=0)
        for counts in self._counts.values():
            for name, count in counts.items():
                totals[name] += count
        lags = sorted(self._lags)
        cpu = time.process_time()
        line: dict[str, Any] = {
            "t": round(t, 3),
            **totals,
            "per_f": {f: dict(counts) for f, counts in self._counts.items()},
            "in_flight": in_flight,
            "lag_ms_p99": round(nearest_rank(lags, 0.99), 3),
            "lag_ms_max": round(lags[-1], 3) if lags else 0.0,
            "cpu_ms": round((cpu - self._cpu) * 1000, 1),
        }
        if self._errors:
            line["errors"] = dict(self._errors.most_common(5))
        if line["lag_ms_max"] > GATE_LAG_MS:
            line["gate"] = "load-lag"
        self._cpu = cpu
        self._clear()
        return line
