"""What the benchmarks compute from samples, and how they say whether a goal is met."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blackstart.load.meter import nearest_rank

#: Two-sided 95 % of the normal distribution: samples here are 15 or more, or said to be few.
_Z95 = 1.96


@dataclass(frozen=True)
class Mean:
    """A mean and the half-width of its 95 % confidence interval (0 of fewer than two samples)."""

    value: float
    margin: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.margin:.2f}"


def mean(values: Sequence[float]) -> Mean:
    """The mean of at least one sample, by the normal approximation."""
    half = _Z95 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return Mean(statistics.fmean(values), half)


def spread(values: Sequence[float], unit: str = "ms") -> str:
    """Median, p95 (nearest rank) and maximum, for a table; "nothing" of none."""
    if not values:
        return "nothing"
    ordered = sorted(values)
    p95 = nearest_rank(ordered, 0.95)
    return f"median {statistics.median(ordered):.1f}, p95 {p95:.1f}, max {ordered[-1]:.1f} {unit}"


def start_lags(starts: Sequence[float], rate: float) -> list[float]:
    """How late each start was on a grid of `rate` a second, in the unit of `starts` (s), sorted.

    The grid's zero is unknown to an onlooker: it is put where the least late start is in time, for whichever
    tool. One start a slot: with dropped starts the grid is lost, and so is this figure.
    """
    late = [start - number / rate for number, start in enumerate(sorted(starts))]
    return sorted(each - min(late) for each in late)


def goal(what: str, met: bool | None) -> None:
    """Print whether a goal is met; None: the samples do not tell. A benchmark never fails of it."""
    print(f"goal {'met' if met else 'not told apart' if met is None else 'MISSED'}: {what}", flush=True)


def load_average() -> str:
    """What else the machine was doing, for whoever reads the figures."""
    return f"{os.cpu_count()} cores, load average {' '.join(f'{x:.1f}' for x in os.getloadavg())}"


def write(path: Path, text: str) -> None:
    """Write a result into its folder, and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}", flush=True)
