"""Straight lines through measured points, and ratios of pairs, each with its 95 % confidence interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.stats import Mean

#: Student's t, two-sided 95 %, for 1, 2, … degrees of freedom; beyond the last that one, a little too wide.
_T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


def t95(freedom: int) -> float:
    """Student's t of so many degrees of freedom (at least 1), two-sided 95 %."""
    return _T95[min(freedom, len(_T95)) - 1]


@dataclass(frozen=True)
class Interval:
    """A figure, and between what it lies with 95 % confidence; `hi` may be infinite."""

    value: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Line:
    """y = intercept + slope * x by ordinary least squares.

    `noise` is the standard deviation of the residuals (n - 2 degrees of freedom), `middle` the mean of the
    x, `width` the sum of their squared distances from it, `reach` the largest: beyond it all is extrapolated.
    The intervals suppose that y scatters alike at every x; where it scatters more at large ones, those at
    small ones are too wide.
    """

    slope: float
    intercept: float
    noise: float
    points: int
    middle: float
    width: float
    reach: float

    def at(self, x: float) -> Mean:
        """The mean y at x: its margin is t * noise * sqrt(1/n + (x - middle)^2 / width).

        Draper and Smith, Applied Regression Analysis, on the straight line: the interval of a mean response.
        """
        share = 1 / self.points + (x - self.middle) ** 2 / self.width
        margin = t95(self.points - 2) * self.noise * math.sqrt(share)
        return Mean(self.intercept + self.slope * x, margin)

    @property
    def rate(self) -> Interval:
        """x for each unit of y, as bytes a second: the inverse of the slope.

        The slope's margin is t * noise / sqrt(width). Where the slope may be 0 there is no upper limit; where
        it is not above 0 the value is 0, of which nothing is known.
        """
        if self.slope <= 0:
            return Interval(0.0, 0.0, math.inf)
        margin = t95(self.points - 2) * self.noise / math.sqrt(self.width)
        fastest = 1 / (self.slope - margin) if self.slope > margin else math.inf
        return Interval(1 / self.slope, 1 / (self.slope + margin), fastest)


def line(points: Iterable[tuple[float, float]]) -> Line:
    """The line through at least 3 points of at least 2 different x; ValueError for fewer."""
    given = list(points)
    xs, ys = [x for x, _ in given], [y for _, y in given]
    if len(given) < 3 or len(set(xs)) < 2:
        raise ValueError(
            f"a line needs 3 points, not all at one x: {len(given)} points at {len(set(xs))} x are given"
        )
    middle = statistics.fmean(xs)
    width = math.fsum((x - middle) ** 2 for x in xs)
    slope = math.fsum((x - middle) * y for x, y in given) / width
    intercept = statistics.fmean(ys) - slope * middle
    squares = math.fsum((y - intercept - slope * x) ** 2 for x, y in given)
    noise = math.sqrt(squares / (len(given) - 2))
    return Line(slope, intercept, noise, len(given), middle, width, max(xs))


def ratio(pairs: Sequence[tuple[float, float]]) -> Interval:
    """How many times the second of each pair the first is: the geometric mean, and Student's interval of it.

    Pair by pair, so that what slows both of a round down does not count. Of one pair the interval has no
    end. ValueError without a pair.
    """
    if not pairs:
        raise ValueError("a ratio needs a pair")
    logs = [math.log(a / b) for a, b in pairs]
    value = statistics.fmean(logs)
    if len(logs) < 2:
        return Interval(math.exp(value), 0.0, math.inf)
    margin = t95(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Interval(math.exp(value), math.exp(value - margin), math.exp(value + margin))
