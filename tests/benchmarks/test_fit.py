"""Lines through points, and ratios of pairs."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.fit import line, ratio, t95


def test_points_on_a_line_give_it_back_without_doubt() -> None:
    found = line([(0, 1), (1, 3), (2, 5), (10, 21)])
    assert (found.slope, found.intercept) == pytest.approx((2, 1))
    assert found.noise == pytest.approx(0, abs=1e-9)
    assert found.at(100).value == pytest.approx(201)
    assert found.at(100).margin == pytest.approx(0, abs=1e-6)
    assert found.reach == 10


def test_slope_and_interval_are_those_of_a_worked_example() -> None:
    # By hand: mean x 3, width 10, slope 19.6 / 10, intercept 0.14; residuals' squares add up to 0.072.
    found = line([(1, 2.1), (2, 4.0), (3, 6.2), (4, 7.8), (5, 10.0)])
    assert (found.slope, found.intercept) == pytest.approx((1.96, 0.14))
    assert found.noise == pytest.approx(math.sqrt(0.072 / 3))
    assert found.at(3).margin == pytest.approx(3.182 * found.noise / math.sqrt(5))
    assert found.at(8).margin == pytest.approx(3.182 * found.noise * math.sqrt(1 / 5 + 25 / 10))


def test_the_rate_is_the_inverse_of_the_slope_and_so_are_its_ends() -> None:
    found = line([(1, 2.1), (2, 4.0), (3, 6.2), (4, 7.8), (5, 10.0)])
    margin = 3.182 * found.noise / math.sqrt(10)
    assert found.rate.value == pytest.approx(1 / 1.96)
    assert found.rate.lo == pytest.approx(1 / (1.96 + margin))
    assert found.rate.hi == pytest.approx(1 / (1.96 - margin))


def test_a_slope_that_may_be_nothing_has_no_fastest_rate() -> None:
    assert line([(1, 1), (2, 5), (3, 2), (4, 6)]).rate.hi == math.inf
    falling = line([(1, 3), (2, 2), (3, 1)]).rate
    assert (falling.value, falling.hi) == (0, math.inf)


def test_an_interval_holds_the_truth_nineteen_times_of_twenty() -> None:
    draw = random.Random(7)
    held = 0
    for _ in range(400):
        found = line([(x, 3 + 2 * x + draw.gauss(0, 1)) for x in range(6)])
        there = found.at(20)
        held += abs(there.value - 43) <= there.margin
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize("points", [[], [(1, 1), (2, 2)], [(1, 1), (1, 2), (1, 3)]])
def test_too_few_points_are_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="a line needs 3 points"):
        line(points)


def test_a_ratio_is_the_geometric_mean_with_students_interval() -> None:
    found = ratio([(2, 1), (8, 1), (4, 1)])
    assert found.value == pytest.approx(4)
    margin = 4.303 * math.log(2) / math.sqrt(3)
    assert (found.lo, found.hi) == pytest.approx((4 * math.exp(-margin), 4 * math.exp(margin)))


def test_what_slows_both_of_a_pair_does_not_count() -> None:
    found = ratio([(2, 1), (20, 10), (200, 100)])
    assert (found.lo, found.value, found.hi) == pytest.approx((2, 2, 2))


def test_of_one_pair_nothing_is_known_but_itself() -> None:
    found = ratio([(3, 2)])
    assert (found.value, found.lo, found.hi) == pytest.approx((1.5, 0, math.inf))
    with pytest.raises(ValueError, match="needs a pair"):
        ratio([])


def test_beyond_the_table_students_t_is_that_of_its_end() -> None:
    assert (t95(1), t95(30), t95(500)) == (12.706, 2.042, 2.042)
