"""The estimators of the RTO benchmark: one rule for every tool."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.rto_precision import (
    GAP_S,
    Sample,
    Span,
    as_history,
    chaos_samples,
    errors,
    outages,
    report,
    windows,
)
from blackstart.measure.load import SECOND


def samples(rate: float, until: float, bad: list[tuple[float, float]]) -> list[Sample]:
    """One look every 1/rate s, answered in 1 ms."""
    times = [n / rate for n in range(round(until * rate))]
    return [(at, at + 0.001, not any(b <= at < e for b, e in bad)) for at in times]


def test_an_outage_is_as_long_as_the_middle_of_its_bounds(tmp_path: Path) -> None:
    folder = as_history(samples(100, 8, [(2.001, 2.499), (4.0, 4.25)]), tmp_path / "other")
    first, second = outages(folder)
    assert (first.begin, first.length) == pytest.approx((2.01, 0.49))
    assert (second.begin, second.length) == pytest.approx((4.0, 0.25))


def test_requests_that_overlap_make_a_history_all_the_same(tmp_path: Path) -> None:
    slow = [(n / 10, n / 10 + 0.35, not 20 <= n < 25) for n in range(60)]
    [found] = outages(as_history(slow[::-1], tmp_path / "slow"))
    assert found.length == pytest.approx(0.5)


def test_the_error_is_that_of_the_one_outage_found_there() -> None:
    truth = [Span(2, 0.5), Span(5, 0.5), Span(8, 0.5)]
    found = [Span(2.01, 0.49), Span(5, 0.1), Span(5.2, 0.1)]
    assert errors(truth, found) == [pytest.approx(10), None, None]


def test_two_outages_are_never_so_near_that_they_would_be_one() -> None:
    planned = windows(50, 3)
    assert SECOND / 1e9 < GAP_S
    assert all(b2 - e1 == pytest.approx(GAP_S) for (_, e1), (b2, _) in itertools.pairwise(planned))
    assert windows(50, 3) == planned != windows(50, 4)


def test_a_check_of_chaos_toolkit_is_a_look(tmp_path: Path) -> None:
    def state(second: int, met: bool) -> dict[str, object]:
        at = datetime.fromtimestamp(1_000 + second, UTC).isoformat()
        end = datetime.fromtimestamp(1_000 + second + 0.25, UTC).isoformat()
        return {"steady_state_met": met, "probes": [{"start": at, "end": end}]}

    journal = {"steady_states": {"during": [state(1, True), state(2, False)]}}
    assert chaos_samples(journal, 1_000) == [(1, 1.25, True), (2, 2.25, False)]


@pytest.mark.parametrize(
    ("k6_ms", "said"), [(2.0, "goal met: mean error at most k6"), (0.1, "goal MISSED: mean error at most k6")]
)
def test_ours_and_k6s_errors_are_compared_outage_by_outage(
    k6_ms: float, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = [Span(2.0 * n, 0.5) for n in range(20)]

    def off(by_ms: float) -> list[Span]:
        return [Span(t.begin, t.length + (by_ms + n % 2 / 10) / 1000) for n, t in enumerate(truth)]

    report(truth, {"blackstart": off(1.0), "k6": off(k6_ms)}, 200)
    assert said in capsys.readouterr().out


def test_a_difference_within_its_interval_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    truth = [Span(2.0 * n, 0.5) for n in range(20)]
    ours = [Span(t.begin, t.length + (0.003 if n % 2 else 0.0)) for n, t in enumerate(truth)]
    theirs = [Span(t.begin, t.length + (0.0029 if n % 2 == 0 else 0.0)) for n, t in enumerate(truth)]
    report(truth, {"blackstart": ours, "k6": theirs}, 200)
    assert "goal not told apart" in capsys.readouterr().out
