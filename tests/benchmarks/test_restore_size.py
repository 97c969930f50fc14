"""What the benchmark of restores says of what it measured."""

from __future__ import annotations

import pytest

from benchmarks.restore_size import Clock, Setting, fastest, report
from tests.benchmarks.test_restore_report import ROUNDS, SIZES, taken


def test_a_clock_allows_what_still_fits() -> None:
    clock = Clock(60)
    assert clock.allows()
    assert clock.allows(50)
    assert not clock.allows(61)
    assert not Clock(0).allows()


def test_the_fastest_setting_is_that_of_the_least_median() -> None:
    slow = Setting("zst", 1, (5.0, 5.1, 1.0), 9.0, 10)
    fast = Setting("lz4", 4, (4.0, 4.1, 8.0), 9.0, 20)
    assert fastest([slow, fast]) is fast


def test_the_goal_is_judged_at_the_largest_size(capsys: pytest.CaptureFixture[str]) -> None:
    report(ROUNDS)
    out = capsys.readouterr().out
    assert out.count("times cp (") == len(SIZES)
    assert "goal MISSED: restore at most 2 times cp at 6.4 GB" in out


def test_an_interval_around_the_bound_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    report([taken(SIZES[-1], 0, number) for number in range(1)])
    assert "goal not told apart" in capsys.readouterr().out


def test_without_cp_there_is_no_goal(capsys: pytest.CaptureFixture[str]) -> None:
    report([taken(SIZES[0], 256_000_000)])
    assert capsys.readouterr().out == ""
