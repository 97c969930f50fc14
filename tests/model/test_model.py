from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from blackstart.model.durations import human, seconds
from blackstart.model.errors import ConfigError, HarnessError, HypothesisFailed, RunbookFailed
from blackstart.model.objectives import COUNTED, OF_THE_FAULT, Objectives
from blackstart.model.selector import Selector
from blackstart.model.stack import Image, Instance, Stack
from blackstart.model.verdict import Verdict, worst

IMAGE = Image("x", Path("x"))


def _stack() -> Stack:
    return Stack(
        name="s",
        sidecar=IMAGE,
        instances=(
            Instance("web-1", "web", IMAGE, {"http": 80}, zone="a", calls=("store-1",)),
            Instance("web-2", "web", IMAGE, {"http": 80}, zone="b", calls=("store-1",)),
            Instance("store-1", "store", IMAGE, {"tcp": 1, "admin": 2}),
        ),
    )


@pytest.mark.parametrize(
    ("text", "value"), [("800ms", 0.8), ("2s", 2.0), ("1.5m", 90.0), ("1h", 3600.0), (3, 3.0), (0.25, 0.25)]
)
def test_durations_are_seconds_or_carry_a_unit(text: str | float, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "10", "s", "-1s", "1 day", -1, float("nan"), True])
def test_anything_else_is_no_duration(text: str | float) -> None:
    with pytest.raises(ConfigError):
        seconds(text)


def test_durations_read_well() -> None:
    assert [human(x) for x in (0.0123, 1.6, 95.0)] == ["12 ms", "1.60 s", "1 min 35 s"]


def test_fail_is_worse_than_unknown_and_unknown_worse_than_pass() -> None:
    assert worst([Verdict.PASS, Verdict.UNKNOWN]) is Verdict.UNKNOWN
    assert worst([Verdict.UNKNOWN, Verdict.FAIL, Verdict.PASS]) is Verdict.FAIL
    assert worst([]) is Verdict.PASS


def test_every_edge_has_an_address_of_its_own() -> None:
    edges = _stack().edges
    assert [str(e) for e in edges] == [
        "web-1 -> store-1:1",
        "web-1 -> store-1:2",
        "web-2 -> store-1:1",
        "web-2 -> store-1:2",
    ]
    assert {e.listen for e in edges} == {"127.0.1.1"}


def test_unknown_names_are_answered_with_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match="known: web-1, web-2, store-1"):
        _stack().instance("web-9")
    with pytest.raises(ConfigError, match="services: web, store"):
        Selector.parse("cache").validate(_stack())
    with pytest.raises(ConfigError, match="its zones: a, b"):
        Selector.parse("web[zone=c]").validate(_stack())
    with pytest.raises(ConfigError, match="no role 'primary'; known: none"):
        Selector.parse("store.primary").validate(_stack())
    with pytest.raises(ConfigError, match="not a target"):
        Selector.parse("Web One")


def test_a_stack_that_calls_what_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="calls unknown instance 'store-9'"):
        Stack("s", IMAGE, (Instance("a", "a", IMAGE, {}, calls=("store-9",)),))


def test_objectives_round_trip_and_refuse_the_unknown() -> None:
    objectives = Objectives(rto="10s", lost=0, availability=0.85)
    assert Objectives.from_dict(objectives.to_dict()) == objectives
    with pytest.raises(ConfigError, match="unknown objective speed; known: alerts_missing, attempts, "):
        Objectives.from_dict({"speed": 1})
    with pytest.raises(ConfigError, match="from 0 to 1"):
        Objectives(availability=85)
    with pytest.raises(ConfigError, match="bounds a count"):
        Objectives(lost=-1)


def test_what_a_drill_counts_or_a_placebo_leaves_out_is_an_objective() -> None:
    known = {f.name for f in fields(Objectives)}
    assert set(COUNTED) <= known
    assert set(OF_THE_FAULT) <= known


def test_harness_trouble_and_a_failed_hypothesis_are_never_confused() -> None:
    assert not issubclass(HypothesisFailed, HarnessError)
    assert issubclass(HypothesisFailed, AssertionError)
    assert issubclass(RunbookFailed, HypothesisFailed)


@pytest.mark.parametrize(
    ("path", "size"), [("data", "64m"), ("/data", "64"), ("/data", "0m"), ("/data", "lots")]
)
def test_a_disk_needs_an_absolute_path_and_a_size(path: str, size: str) -> None:
    one = Instance("one", "web", Image("web", Path()), {}, disks={path: size})
    with pytest.raises(ConfigError, match=r"one: disk .*with k, m or g"):
        Stack("s", Image("net", Path()), (one,))


def test_ceilings_widen_timings_and_leave_what_may_never_happen() -> None:
    strict = Objectives(
        rto="15s",
        availability={"chat": 0.9, "job": 1.0, "session": 0.5},
        p90={"chat": "+150ms", "session": 0.2},
        lost=0,
        interrupted=2,
        attempts=90,
        mode=["no-tool"],
    )
    wide = strict.at_ceilings(3)
    assert seconds(wide.rto or 0) == 45
    assert wide.availability == {"chat": pytest.approx(0.7), "job": 1.0, "session": 0.0}
    assert wide.p90 == {"chat": "+450ms", "session": pytest.approx(0.6)}
    assert (wide.lost, wide.interrupted, wide.attempts, wide.mode) == (0, 2, 90, ["no-tool"])
    assert Objectives(availability=0.9).at_ceilings(2).availability == pytest.approx(0.8)
    assert Objectives(lost=0).at_ceilings(3) == Objectives(lost=0)
