"""The quick code against the literal one, on histories that Hypothesis makes up."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blackstart.measure.check import check
from blackstart.measure.run import measure
from tests.measure import oracle
from tests.measure.histories import Script, begin, end

LISTS = (
    "lost",
    "duplicate",
    "resurrected",
    "recovered",
    "unexpected",
    "never_read",
    "stale_reads",
    "split_brain",
)
keys = st.sampled_from(["k", 1, "1"])
ids = st.sampled_from([1, "1", 2, "a", "b"])
types = st.sampled_from(["ok", "ok", "ok", "fail", "info", None])
nodes = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"id": st.sampled_from(["n1", "n2"])},
        optional={"term": st.integers(1, 3), "system": st.sampled_from(["pg", "redis"])},
    ),
)
grid = st.integers(0, 36).map(lambda n: n / 4)
wide = st.integers(0, 16).map(float)
lags = st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.6, 1.1])
took = st.sampled_from([0.0, 0.01, 0.01, 0.25, 1.0, 1.5, 4.0])


@st.composite
def loads(draw: st.DrawFn) -> Script:
    """Load without a ledger: kinds, gaps, stalls, strays, late starts."""
    script = Script()
    for due in draw(st.lists(st.one_of(grid, wide), max_size=24)):
        script.op(draw(st.sampled_from("ab")), due, draw(types), lag=draw(lags), took=draw(took))
    if draw(st.booleans()):
        script.close("k", [], 17.0)
    return script


@st.composite
def ledgers(draw: st.DrawFn) -> Script:
    """Writes with retries and reads, in any order."""
    script = Script()
    for _ in range(draw(st.integers(0, 10))):
        due, lag, duration = draw(grid), draw(lags), draw(took)
        match draw(st.sampled_from(["write", "write", "write", "read", "close"])):
            case "write":
                node = draw(nodes)
                more: dict[str, Any] = {} if node is None else {"node": node}
                if draw(st.booleans()):
                    more["answer"] = None
                script.write(draw(keys), draw(ids), due, draw(types), lag=lag, took=duration, **more)
            case "read":
                script.read(draw(keys), draw(st.lists(ids, max_size=3)), due, lag=lag, took=duration)
            case _:
                held = draw(st.lists(ids, max_size=4))
                script.close(draw(keys), held, draw(st.sampled_from([due, 9.0])), took=duration)
    return script


@st.composite
def fault_events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to three different faults, some without an end."""
    events = []
    for n in range(draw(st.integers(0, 3))):
        fault = {"kind": "freeze", "target": f"app-{n}"}
        at = draw(grid)
        events.append(begin(at, fault))
        if draw(st.booleans()):
            events.append(end(at + draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])), fault))
    return sorted(events, key=lambda e: (e["time"], e["event"]))


def spans(events: list[dict[str, Any]]) -> list[tuple[int, int | None]]:
    ends = {e["fault"]["target"]: e["time"] for e in events if e["event"] == "end"}
    return [(e["time"], ends.get(e["fault"]["target"])) for e in events if e["event"] == "begin"]


def by_begin(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda o: (o["begin_s"], o["f"]))


many = settings(
    max_examples=int(os.environ.get("MANY", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@many
@given(loads(), fault_events())
def test_measures_are_those_of_the_definitions(script: Script, events: list[dict[str, Any]]) -> None:
    expected = oracle.figures(script.lines(), spans(events))
    with tempfile.TemporaryDirectory() as folder:
        found = measure(script.save(Path(folder), events))
    assert found["rto"] in expected["rto"]
    assert found["outages"] == by_begin(expected["outages"])
    assert found["strays"] == by_begin(expected["strays"])
    assert found["availability"] == expected["availability"]
    assert found["latency_ms"] == expected["latency_ms"]


@many
@given(ledgers(), fault_events())
def test_checks_are_those_of_the_definitions(script: Script, events: list[dict[str, Any]]) -> None:
    expected = oracle.checks(script.lines())
    with tempfile.TemporaryDirectory() as folder:
        path = script.save(Path(folder), events)
        found, strict = check(path / "history.jsonl"), check(path / "history.jsonl", linearizable=True)
        rpo = measure(path)["rpo"]
    assert {name: found[name] for name in LISTS} == {name: expected[name] for name in LISTS}
    defects = [n for n in ("lost", "duplicate", "resurrected", "unexpected", "split_brain") if expected[n]]
    unsure = expected["never_read"] or expected["silent"] or not expected["closed"]
    assert found["verdict"] == ("fail" if defects else "unknown" if unsure else "pass")
    assert strict["verdict"] == ("fail" if expected["stale_reads"] else found["verdict"])
    begins = [b for b, _ in spans(events)]
    ages = [min((b - invoke for b in begins if b > invoke), default=0) for invoke in expected["lost_invokes"]]
    assert rpo["lost"] == len(ages)
    assert rpo["oldest_s"] == (0 if not ages else None if not begins else max(ages) / 1e9)
    assert rpo["indeterminate"] == expected["indeterminate"]
    assert rpo["recovered"] >= len(expected["recovered"])


@given(loads())
@settings(max_examples=50, deadline=None)
def test_without_a_fault_rto_is_zero_and_everything_is_before(script: Script) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(script.save(Path(folder)))
    assert found["rto"] == {
        "f": None,
        "lo_s": 0,
        "hi_s": 0,
        "censored": False,
        "first_error_s": None,
        "unavailable_s": 0,
    }
    assert found["availability"]["during"] is None and found["availability"]["after"] is None


@given(loads(), fault_events())
@settings(max_examples=50, deadline=None)
def test_bounds_hold(script: Script, events: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(script.save(Path(folder), events))
    for bounds in (found["rto"], *found["outages"], *found["strays"]):
        assert 0 <= bounds["lo_s"] <= bounds["hi_s"]
    for outage in found["outages"]:
        assert 0 <= outage["ok_ratio"] < 1
    for stray in found["strays"]:
        assert stray["hi_s"] < 1 and stray["lo_s"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_shifting_everything_in_time_changes_no_duration(seed: int, tmp_path: Path) -> None:
    def script(shift: float) -> Path:
        made = Script().steady("sql", shift, 5 + shift)
        for n in range(10 + seed):
            made.op("sql", 5 + shift + n / 10, "info", took=0.5)
        made.steady("sql", 6 + seed / 10 + shift, 12 + shift)
        folder = tmp_path / str(shift)
        folder.mkdir()
        return made.save(folder, [begin(4.9 + shift), end(6 + shift)])

    near, far = measure(script(0)), measure(script(100))
    assert near["rto"] == pytest.approx(far["rto"])
    assert near["rto"]["lo_s"] > 0
