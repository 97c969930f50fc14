"""Latency from the intended start, so that a stalled client cannot hide a stall of the service."""

from __future__ import annotations

from collections.abc import Iterable

#: Percentiles in thousandths: whole numbers, so that nearest rank is exact.
RANKS = {"p50": 500, "p90": 900, "p99": 990, "p999": 999, "max": 1000}

Quantiles = dict[str, float | None]


def quantiles(waits_ns: Iterable[int]) -> Quantiles:
    """Nearest-rank percentiles in ms of latencies in ns; None for each when there are none."""
    ordered = sorted(waits_ns)
    if not ordered:
        return dict.fromkeys(RANKS)
    return {
        name: ordered[max(1, -(-len(ordered) * per_mille // 1000)) - 1] / 1e6
        for name, per_mille in RANKS.items()
    }
