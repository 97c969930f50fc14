"""What an edge adds."""

from __future__ import annotations

import pytest

from benchmarks.idle_edge import added


def test_the_percentiles_of_each_way_are_compared() -> None:
    lines = [f"{200_000 + n * 1000} {100_000 + (99 - n) * 1000}" for n in range(100)]
    figures = added(lines)
    assert figures["p50"] == pytest.approx((0.2495, 0.1495, 0.1))
    assert figures["p99"] == pytest.approx((0.298, 0.198, 0.1))
