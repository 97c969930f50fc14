"""The map: the state of a cell, and what a hole is worth."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from blackstart.coverage.grid import Coverage, LastRun, State, Strike, coverage, to_dict, value
from blackstart.coverage.places import places
from blackstart.model.modes import Mode
from blackstart.model.verdict import Verdict
from tests.coverage.declared import STACK

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLACES = places(STACK)
POSSIBLE = {
    (place.ends, mode): f"call({', '.join(place.ends)})"
    for place in PLACES
    for mode in ((Mode.SLOW, Mode.CUT) if place.is_edge else (Mode.GONE, Mode.FROZEN))
}


def strike(ends: tuple[str, ...], mode: Mode, verdict: str | None = None, days: int = 1) -> Strike:
    last = LastRun(Verdict(verdict), NOW - timedelta(days=days), "s1") if verdict else None
    return Strike(f"drill.{verdict}", "down", ends, mode, "fault()", last)


def cell_of(found: Coverage, place: str, mode: Mode) -> State:
    return next(c.state for p, cells in found.rows for c in cells if (p.name, c.mode) == (place, mode))


def build(*strikes: Strike) -> Coverage:
    return coverage("mapped", PLACES, POSSIBLE, strikes, NOW)


def test_a_cell_is_as_bad_as_the_worst_of_its_drills() -> None:
    app = (("app",), Mode.GONE)
    assert cell_of(build(), "app", Mode.GONE) is State.HOLE
    assert cell_of(build(strike(*app)), "app", Mode.GONE) is State.UNRUN
    for verdicts, state in (
        (["pass"], State.PASS),
        (["pass", None], State.UNRUN),
        (["pass", "unknown"], State.UNKNOWN),
        (["fail", "unknown", "pass"], State.FAIL),
    ):
        found = build(*(strike(*app, verdict) for verdict in verdicts))
        assert cell_of(found, "app", Mode.GONE) is state
        assert cell_of(found, "app", Mode.FROZEN) is State.HOLE
        assert cell_of(found, "app", Mode.SLOW) is State.IDLE


def test_a_cell_is_as_old_as_the_oldest_of_its_drills() -> None:
    found = build(strike(("app",), Mode.GONE, "pass", days=2), strike(("app",), Mode.GONE, "fail", days=9))
    (cell,) = [c for c in found.cells if c.strikes]
    assert cell.started == NOW - timedelta(days=9)


def test_columns_are_the_modes_that_faults_and_drills_have() -> None:
    assert build().modes == (Mode.GONE, Mode.FROZEN, Mode.SLOW, Mode.CUT)
    assert Mode.HANDOVER in build(strike(("app",), Mode.HANDOVER)).modes


@pytest.mark.parametrize(
    ("name", "drilled", "worth"),
    [
        ("db", False, (3 + 5) / 1 * 2),
        ("db", True, (3 + 5) / 1),
        ("cache.primary", False, (3 + 5) / 2 * 2),
        ("front", False, (0 + 5) / 1 * 2),
        ("front → app", True, (1 + 5) / 1),
    ],
)
def test_value_is_who_depends_on_it_by_who_shares_the_work(name: str, drilled: bool, worth: float) -> None:
    place = next(p for p in PLACES if p.name == name)
    assert value(place, drilled) == worth


def test_holes_are_ranked_by_value_one_a_place() -> None:
    holes = build(strike(("db",), Mode.GONE, "pass")).holes
    assert [h.rank for h in holes] == list(range(1, len(PLACES) + 1))
    assert [h.value for h in holes] == sorted((h.value for h in holes), reverse=True)
    assert [h.place.name for h in holes[:2]] == ["front → app", "front"]
    db = next(h for h in holes if h.place.name == "db")
    assert [c.mode for c in db.cells] == [Mode.FROZEN]
    assert db.why == "3 instances and the clients behind it; nothing stands in"
    assert holes[0].why.endswith("; never drilled")


def test_what_most_depends_on_comes_first_components_before_edges() -> None:
    names = [place.name for place, _ in build().rows]
    assert names[0] == "db"
    assert names.index("aside") < names.index("front → app") < names.index("app → db")


def test_places_without_any_drill_are_counted() -> None:
    found = build(strike(("db",), Mode.GONE, "pass"))
    assert len(found.untouched) == len(PLACES) - 1
    assert found.count(State.PASS) == 1
    assert len(found.cells) == 2 * len(PLACES)


def test_machines_get_every_cell_and_hole() -> None:
    told = json.loads(json.dumps(to_dict(build(strike(("db",), Mode.GONE, "fail")))))
    assert len(told["cells"]) == 4 * len(PLACES)
    (db,) = [c for c in told["cells"] if c["drills"]]
    assert (db["place"], db["state"], db["drills"][0]["verdict"]) == ("db", "fail", "fail")
    assert db["drills"][0]["started"] == (NOW - timedelta(days=1)).isoformat()
    assert {h["place"] for h in told["holes"]} == {p.name for p in PLACES}
