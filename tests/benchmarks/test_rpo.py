"""What the loss of the database costs."""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.rpo import MODES, Trial, lost, markdown, modes, picture, report


def taken(mode: str, oldest_s: float, many: int = 3) -> Trial:
    return Trial(mode, 400, many, oldest_s, 6.0, 0.5)


TRIALS = [taken("10s", age) for age in (1.0, 7.5, 11.0)] + [taken("stream", 0.0, 0), taken("stream", 0.05, 1)]


def test_lost_is_what_was_acknowledged_and_is_not_found() -> None:
    acknowledged = {1: 10.0, 2: 10.5, 3: 11.0, 4: 12.25}
    assert lost(acknowledged, {1, 2, 99}, killed=12.0) == pytest.approx((2, 1.0))


def test_a_write_that_began_after_the_kill_has_no_age() -> None:
    assert lost({1: 12.25}, set(), killed=12.0) == (1, 0.0)


def test_where_nothing_is_lost_nothing_is_old() -> None:
    assert lost({1: 10.0}, {1}, killed=12.0) == (0, 0.0)


def test_archiving_bounds_the_age_by_its_timeout_a_whole_second_and_the_push() -> None:
    assert MODES["10s"].bound_s(0.5) == 11.5
    assert MODES["stream"].bound_s(0.5) is None


def test_the_table_counts_what_is_older_than_the_bound() -> None:
    rows = markdown([*TRIALS, taken("10s", 12.0)]).splitlines()[-2:]
    assert rows[0] == "| 10s | 4 | 3, 3 | 9.25, 12.00 | 11.50 | 1 |"
    assert rows[1] == "| 30s, and received | 2 | 0.5, 1 | 0.03, 0.05 | none |  |"


def test_the_bound_is_a_goal_where_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    report(TRIALS)
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("goal met: 10s: nothing lost older than 11.50 s")
    assert out[1] == "stream: the oldest lost is 0.05 s old, in 2 trials"
    report([taken("10s", 12.0)])
    assert "goal MISSED" in capsys.readouterr().out


def test_every_trial_is_a_point_and_each_bound_a_line() -> None:
    image = ElementTree.fromstring(picture(TRIALS))
    svg = "{http://www.w3.org/2000/svg}"
    # One more in the legend.
    assert len(list(image.iter(f"{svg}circle"))) == len(TRIALS) + 1
    dashed = [each for each in image.iter(f"{svg}path") if each.get("stroke-dasharray")]
    assert len(dashed) == 2
    assert any(each.text == "max 11.00 s" for each in image.iter(f"{svg}text"))


def test_modes_are_taken_by_name_each_once() -> None:
    assert modes("stream,5s,stream") == [MODES["stream"], MODES["5s"]]
    with pytest.raises(argparse.ArgumentTypeError, match=r"7s: there are 5s, 10s, 30s, stream"):
        modes("7s")
