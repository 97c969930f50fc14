"""Outages, episodes, RTO and phases, each sentence of DESIGN section 5 with figures worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blackstart.measure.run import measure
from tests.measure.histories import KILL, Script, begin, end

OTHER = {"kind": "freeze", "target": "app-1"}


def around(bad_from: float, bad_to: float, until: float = 20.0, f: str = "sql") -> Script:
    """Oks every 100 ms, but infos (that took 50 ms) due in the half-open interval."""
    script = Script()
    for n in range(round(until * 10)):
        due = n / 10
        if bad_from - 1e-6 <= due < bad_to - 1e-6:
            script.op(f, due, "info", took=0.05)
        else:
            script.op(f, due)
    return script


def outage(begin_s: float, end_s: float, lo_s: float, hi_s: float, ok_ratio: float = 0.0) -> Any:
    shown = {"f": "sql", "begin_s": begin_s, "end_s": end_s, "lo_s": lo_s, "hi_s": hi_s, "ok_ratio": ok_ratio}
    return pytest.approx(shown)


# -- outages --------------------------------------------------------------------------------------------


def test_an_outage_has_bounds(tmp_path: Path) -> None:
    found = measure(around(5, 7).save(tmp_path))
    assert found["outages"] == [outage(5.0, 7.01, 1.9, 2.1)]
    assert found["strays"] == []


def test_time_zero_and_the_end_of_the_load_stand_in(tmp_path: Path) -> None:
    script = Script().op("sql", 1, "info", took=9)
    script.op("sql", 2, "fail").op("sql", 3, None).close("k", [], 30)
    found = measure(script.save(tmp_path))
    assert found["outages"] == [outage(1, 10, 2, 10)]


def test_a_single_non_ok_is_a_stray_unless_it_lasted_a_second(tmp_path: Path) -> None:
    quick = Script().op("sql", 1).op("sql", 1.5, "fail").op("sql", 1.99)
    (tmp_path / "quick").mkdir()
    found = measure(quick.save(tmp_path / "quick"))
    assert (found["outages"], found["strays"]) == ([], [outage(1.5, 2.0, 0, 0.99)])
    assert found["availability"]["before"] == pytest.approx(2 / 3)
    slow = Script().op("sql", 1).op("sql", 1.5, "fail").op("sql", 2)
    found = measure(slow.save(tmp_path))
    assert (found["outages"], found["strays"]) == ([outage(1.5, 2.01, 0, 1.0)], [])


def test_two_non_oks_are_no_stray_however_short(tmp_path: Path) -> None:
    script = Script().op("sql", 1).op("sql", 1.1, "fail").op("sql", 1.2, "fail").op("sql", 1.3)
    found = measure(script.save(tmp_path))
    assert found["outages"] == [outage(1.1, 1.31, 0.1, 0.3)]


def test_non_oks_due_a_second_apart_are_one_outage(tmp_path: Path) -> None:
    script = Script().op("sql", 0).op("sql", 1, "fail").op("sql", 1.5).op("sql", 2, "fail").op("sql", 3)
    assert measure(script.save(tmp_path))["outages"] == [outage(1, 3.01, 1, 3.0, 1 / 3)]


def test_non_oks_due_further_apart_are_two(tmp_path: Path) -> None:
    script = Script().op("sql", 0).op("sql", 1, "fail").op("sql", 1.5).op("sql", 2.001, "fail").op("sql", 3)
    found = measure(script.save(tmp_path))
    assert found["outages"] == [outage(1, 1.51, 0, 1.5), outage(2.001, 3.01, 0, 1.5)]


def test_without_an_ok_between_they_are_one_however_far_apart(tmp_path: Path) -> None:
    script = Script().op("sql", 0).op("sql", 1, "fail").op("sql", 9, "fail").op("sql", 10)
    script.op("other", 5)
    assert measure(script.save(tmp_path))["outages"] == [outage(1, 10.01, 8, 10.0)]


def test_an_ok_due_before_but_completed_late_does_not_make_bounds_negative(tmp_path: Path) -> None:
    script = Script().op("sql", 0.9, took=3).op("sql", 1, "fail").op("sql", 2.5, "fail").op("sql", 2.6)
    assert measure(script.save(tmp_path))["outages"] == [outage(1, 2.61, 1.5, 1.5)]


def test_kinds_have_outages_of_their_own(tmp_path: Path) -> None:
    script = around(5, 6, 10).steady("chat", 0, 10)
    script.op("chat", 8.05, "fail").op("chat", 8.06, "fail")
    assert [o["f"] for o in measure(script.save(tmp_path))["outages"]] == ["sql", "chat"]


# -- RTO ------------------------------------------------------------------------------------------------


def test_rto_is_from_the_begin_to_the_end_of_the_outage(tmp_path: Path) -> None:
    found = measure(around(5, 7).save(tmp_path, [begin(4.7), end(15)]))
    assert found["rto"] == pytest.approx(
        {
            "f": "sql",
            "lo_s": 2.2,
            "hi_s": 2.31,
            "censored": False,
            "first_error_s": 0.3,
            "unavailable_s": 2.1,
        }
    )
    assert found["verdict"] == "pass"


def test_no_outage_felt_is_zero_without_a_kind(tmp_path: Path) -> None:
    found = measure(around(5, 6).save(tmp_path, [begin(8), end(9)]))
    nothing = {"lo_s": 0, "hi_s": 0, "first_error_s": None, "unavailable_s": 0}
    assert found["rto"] == {"f": None, "censored": False, **nothing}


def test_an_operation_open_at_the_begin_is_felt(tmp_path: Path) -> None:
    script = Script().steady("sql", 0, 5).op("sql", 4.95, "info", took=2, lag=0.01)
    script.op("sql", 6, "info", took=0.1).steady("sql", 6.5, 12)
    found = measure(script.save(tmp_path, [begin(5), end(6)]))
    assert found["rto"]["first_error_s"] == 0
    assert (found["rto"]["lo_s"], found["rto"]["hi_s"]) == pytest.approx((1.0, 1.51))


def test_completed_at_the_begin_is_not_felt_and_due_at_the_begin_is_not_later(tmp_path: Path) -> None:
    script = Script().op("sql", 0).op("sql", 2, "fail", took=1).op("sql", 3, "fail", took=0).op("sql", 4)
    assert measure(script.steady("sql", 5, 10).save(tmp_path, [begin(3)]))["rto"]["f"] is None


@pytest.mark.parametrize(("last", "censored"), [(9.009, True), (9.01, False)])
def test_recovered_means_that_load_was_due_three_seconds_later(
    last: float, censored: bool, tmp_path: Path
) -> None:
    script = Script().steady("sql", 0, 5).op("sql", 5, "fail").op("sql", 5.5, "fail")
    script.op("sql", 6).op("sql", last, took=2)
    found = measure(script.save(tmp_path, [begin(5), end(7)]))
    assert found["rto"]["censored"] is censored
    assert found["rto"]["hi_s"] == pytest.approx(last + 2 - 5 if censored else 1.01)
    assert found["rto"]["lo_s"] == pytest.approx(0.5)
    assert found["verdict"] == ("fail" if censored else "pass")


def test_censored_is_worse_than_longer(tmp_path: Path) -> None:
    script = around(5, 9, 20).steady("chat", 0, 6)
    script.op("chat", 6, "fail").op("chat", 6.1, "fail").op("chat", 6.2)
    found = measure(script.save(tmp_path, [begin(5), end(6)]))
    assert (found["rto"]["f"], found["rto"]["censored"]) == ("chat", True)
    assert found["rto"]["hi_s"] == pytest.approx(19.91 - 5)


def test_a_censored_episode_is_worse_than_a_longer_one(tmp_path: Path) -> None:
    script = Script()
    for n in range(200):
        script.op("sql", n / 10, "fail" if 50 <= n < 110 or n >= 190 else "ok")
    events = [begin(5), end(6), begin(18, OTHER), end(19, OTHER)]
    rto = measure(script.save(tmp_path, events))["rto"]
    assert rto["censored"] and rto["hi_s"] == pytest.approx(19.91 - 18)


def test_the_last_outage_counts_and_unavailable_is_the_sum(tmp_path: Path) -> None:
    script = Script()
    for n in range(200):
        script.op("sql", n / 10, "fail" if 50 <= n < 60 or 80 <= n < 85 else "ok")
    rto = measure(script.save(tmp_path, [begin(5), end(6)]))["rto"]
    assert (rto["lo_s"], rto["hi_s"], rto["unavailable_s"]) == pytest.approx((3.4, 3.51, 1.1 + 0.6))


def test_strays_do_not_delay_the_recovery_nor_bring_the_first_error(tmp_path: Path) -> None:
    script = Script()
    for n in range(200):
        script.op("sql", n / 10, "fail" if n in (52, 100) or 80 <= n < 85 else "ok")
    found = measure(script.save(tmp_path, [begin(5), end(6)]))
    assert found["rto"]["first_error_s"] == pytest.approx(3.0)
    assert found["rto"]["lo_s"] == pytest.approx(3.4)
    assert len(found["strays"]) == 2


def test_an_outage_belongs_to_the_episode_that_felt_it(tmp_path: Path) -> None:
    script = Script()
    for n in range(300):
        script.op("sql", n / 10, "fail" if 50 <= n < 70 or 150 <= n < 155 else "ok")
    events = [begin(5), end(6), begin(15, OTHER), end(16, OTHER)]
    rto = measure(script.save(tmp_path, events))["rto"]
    assert (rto["lo_s"], rto["hi_s"], rto["unavailable_s"]) == pytest.approx((1.9, 2.01, 2.1))


def test_what_is_due_in_the_last_second_before_an_episode_and_hangs_is_of_that_episode(
    tmp_path: Path,
) -> None:
    script = Script().steady("sql", 0, 14)
    for n in range(140, 180):
        script.op("sql", n / 10, "info", took=5)
    script.steady("sql", 18, 30)
    events = [begin(5), end(6), begin(15, OTHER), end(16, OTHER)]
    rto = measure(script.save(tmp_path, events))["rto"]
    assert (rto["first_error_s"], rto["hi_s"]) == pytest.approx((0, 3.01))
    (tmp_path / "b").mkdir()
    later = [begin(5), end(6), begin(15.05, OTHER), end(16, OTHER)]
    rto = measure(script.save(tmp_path / "b", later))["rto"]
    assert (rto["first_error_s"], rto["hi_s"]) == pytest.approx((9.0, 13.01))


@pytest.mark.parametrize(("took", "counted"), [(0.499, True), (0.5, False)])
def test_completed_before_the_next_episode_is_of_the_one_before(
    took: float, counted: bool, tmp_path: Path
) -> None:
    script = Script().op("sql", 0).op("sql", 9.5, "fail", took=took).op("sql", 11, "fail", took=0.1)
    script.steady("sql", 12, 20)
    rto = measure(script.save(tmp_path, [begin(5), end(6), begin(10, OTHER), end(11, OTHER)]))["rto"]
    assert rto["hi_s"] == pytest.approx(12.01 - (5 if counted else 10))


def test_the_worst_kind_is_reported(tmp_path: Path) -> None:
    script = around(5, 6, 20)
    for n in range(200):
        script.op("chat", n / 10, "fail" if 50 <= n < 75 else "ok")
    assert measure(script.save(tmp_path, [begin(5), end(6)]))["rto"]["f"] == "chat"


# -- episodes and phases --------------------------------------------------------------------------------


@pytest.mark.parametrize(("second", "merged"), [(7.0, True), (7.001, False)])
def test_faults_that_touch_are_one_episode(second: float, merged: bool, tmp_path: Path) -> None:
    events = [begin(5), end(7), begin(second, OTHER), end(9, OTHER)]
    if merged:  # at one time, in either order
        events[1], events[2] = events[2], events[1]
    rto = measure(around(8, 8.5).save(tmp_path, events))["rto"]
    assert rto["lo_s"] == pytest.approx(8.4 - (5 if merged else 7.001))


def test_a_missing_end_lasts_to_the_end_of_the_history(tmp_path: Path) -> None:
    script = around(8, 8.5).close("k", [], 30)
    found = measure(script.save(tmp_path, [begin(5), begin(7, OTHER), end(7.5, OTHER)]))
    assert found["rto"]["lo_s"] == pytest.approx(3.4)
    assert found["availability"]["after"] is None


def test_phases_are_by_intended_time(tmp_path: Path) -> None:
    script = Script()
    for n in range(20):
        script.op("sql", float(n), "info" if n in (10, 11) else "ok", lag=0.2)
    found = measure(script.save(tmp_path, [begin(9.9), end(10.5)]))
    # begin + hi is 12.21: due at 12 is during, due at 13 is after
    assert found["availability"] == {"before": 1, "during": pytest.approx(1 / 3), "after": 1}
    assert found["latency_ms"]["during"]["p50"] == pytest.approx(210)


def test_during_ends_before_what_is_due_at_its_end(tmp_path: Path) -> None:
    script = Script().steady("sql", 0, 1).op("sql", 1, "fail").op("sql", 1.5).op("sql", 2)
    found = measure(script.steady("sql", 2.1, 9).save(tmp_path, [begin(1), end(2)]))
    assert found["availability"]["during"] == pytest.approx(0.5)


def test_latency_is_from_the_intended_start_by_nearest_rank(tmp_path: Path) -> None:
    script = Script()
    for n in range(1, 101):
        script.op("sql", float(n), lag=n / 1000, took=0)
    latency = measure(script.save(tmp_path))["latency_ms"]
    assert latency["before"] == pytest.approx({"p50": 50, "p90": 90, "p99": 99, "p999": 100, "max": 100})
    assert latency["during"] == dict.fromkeys(["p50", "p90", "p99", "p999", "max"])


def test_closing_reads_are_no_load(tmp_path: Path) -> None:
    script = Script().steady("sql", 0, 5).op("sql", 6, "fail", final=True).op("sql", 7, None, final=True)
    found = measure(script.save(tmp_path, [begin(3), end(4, KILL)]))
    assert found["outages"] == found["strays"] == []
    assert found["availability"] == {"before": 1, "during": 1, "after": 1}
