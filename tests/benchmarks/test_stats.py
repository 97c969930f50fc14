"""What the benchmarks compute from samples."""

from __future__ import annotations

import pytest

from benchmarks.stats import goal, mean, spread, start_lags


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation() -> None:
    found = mean([1.0, 2.0, 3.0, 4.0])
    assert found.value == 2.5
    assert found.margin == pytest.approx(1.96 * 1.2909944 / 2)
    assert mean([7.0]).margin == 0


def test_a_spread_names_the_nearest_rank() -> None:
    assert spread([float(n) for n in range(1, 21)]) == "median 10.5, p95 19.0, max 20.0 ms"
    assert spread([]) == "nothing"


def test_lag_counts_from_a_grid_that_the_least_late_start_is_on() -> None:
    late = [0.0, 0.003, 0.0, 0.001]
    starts = [100 + number / 50 + lag + 0.007 for number, lag in enumerate(late)]
    assert start_lags(starts[::-1], 50) == pytest.approx([0.0, 0.0, 0.001, 0.003])


def test_a_tool_that_falls_behind_is_seen_to() -> None:
    starts = [number / 40 for number in range(100)]
    assert start_lags(starts, 50)[-1] == pytest.approx(99 * (1 / 40 - 1 / 50))


@pytest.mark.parametrize(
    ("met", "said"), [(True, "goal met"), (False, "goal MISSED"), (None, "not told apart")]
)
def test_a_goal_is_said_to_be_met_or_not(
    met: bool | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    goal("x at most y", met)
    assert said in capsys.readouterr().out
