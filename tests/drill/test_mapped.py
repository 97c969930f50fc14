"""From rehearsed drills, registered faults and past runs to the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blackstart.coverage.grid import Cell, Coverage, State
from blackstart.drill.mapped import mapped
from blackstart.drill.planned import Planned
from blackstart.drill.rehearsal import Rehearsal, Step
from blackstart.faults import REGISTRY, Fault, edge_latency, freeze, kill, llm_error, zone_lost
from blackstart.model.errors import ConfigError
from blackstart.model.experiment import Control, Experiment, Role
from blackstart.model.modes import Mode
from blackstart.model.objectives import Objectives
from blackstart.model.stack import Instance
from blackstart.model.verdict import Verdict
from blackstart.report.past import PastRun
from tests.coverage.declared import STACK

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def drill(name: str, *faults: Fault, role: Role = Role.DRILL, trial: int = 1, needs: str = "") -> Rehearsal:
    spec = Experiment(name, "h", "down", Objectives(lost=0), (Control("weak", "lost"),))
    steps = [Step("inject", n, fault) for n, fault in enumerate(faults, 1)]
    return Rehearsal(spec, role, trial, None, steps, needs)


def past(name: str, verdict: str, days: int, role: str = "drill", **told: Any) -> PastRun:
    when = NOW - timedelta(days=days)
    found = Verdict(verdict)
    return PastRun(
        experiment=name,
        role=role,
        variant=told.get("variant", ""),
        verdict=found,
        proof=told.get("proof", found),
        started=when,
        took_s=30,
        start_s=20,
        run_id=f"s{days}",
        folder=Path(),
        faults=tuple(told.get("faults", ())),
    )


def the_map(*drills: Rehearsal, runs: Sequence[PastRun] = ()) -> Coverage:
    plan = Planned(stack=STACK, rehearsals=list(drills), past=sorted(runs, key=lambda run: run.started))
    return mapped(plan, NOW)


def cell(found: Coverage, place: str, mode: Mode) -> Cell:
    return next(c for p, cells in found.rows for c in cells if (p.name, c.mode) == (place, mode))


def drilled(found: Coverage) -> set[tuple[str, str]]:
    return {(c.place.name, c.mode.value) for c in found.cells if c.strikes}


def test_a_drill_covers_the_places_it_strikes_in_its_faults_mode() -> None:
    faults = kill("cache.primary"), edge_latency("app-1", "cache.replica")
    found = the_map(drill("d", *faults), drill("e", freeze("cache")))
    assert drilled(found) == {
        ("cache.primary", "gone"),
        ("app → cache", "slow"),
        ("cache.primary", "frozen"),
        ("cache.replica", "frozen"),
    }


def test_controls_placebos_and_further_trials_cover_nothing_more() -> None:
    others = [drill("d", kill("db"), role=role) for role in (Role.CONTROL, Role.PLACEBO)]
    assert drilled(the_map(*others, drill("d", kill("app"), trial=2))) == set()


def test_the_last_run_of_the_drill_counts_and_its_controls_with_it() -> None:
    runs = [
        past("d", "fail", 9),
        past("d", "pass", 2),
        past("d", "fail", 1, "placebo"),
        past("d", "fail", 1, "control", variant="weak", proof=Verdict.PASS),
        past("other", "fail", 1),
    ]
    (strike,) = cell(the_map(drill("d", kill("db")), runs=runs), "db", Mode.GONE).strikes
    assert strike.last is not None
    assert (strike.last.verdict, strike.last.run_id, strike.last.control) == (
        Verdict.PASS,
        "s2",
        Verdict.PASS,
    )
    assert strike.runbook == "down"


def test_what_the_test_leaves_to_the_running_stack_is_taken_from_the_last_run() -> None:
    faults = [{"kind": "freeze", "target": "db"}, {"kind": "kill", "target": "app-1"}, {"kind": "gremlins"}]
    asking = drill("d", freeze("db"), needs="drill.stack")
    found = the_map(asking, runs=[past("d", "pass", 1, faults=faults)])
    assert drilled(found) == {("db", "frozen"), ("app", "gone")}
    assert [s.seen for s in cell(found, "app", Mode.GONE).strikes] == [True]
    assert [s.seen for s in cell(found, "db", Mode.FROZEN).strikes] == [False]
    assert the_map(asking).notes == ("d asks for drill.stack: what follows was never run",)


def test_an_instance_that_may_have_any_role_is_in_no_cell_and_that_is_said() -> None:
    found = the_map(drill("d", kill("cache-1")))
    assert drilled(found) == set()
    assert "role only a running" in found.notes[0]


def test_a_lost_zone_covers_the_services_that_have_a_part_in_it() -> None:
    there = replace(STACK, instances=tuple(_zoned(i) for i in STACK.instances))
    found = mapped(Planned(stack=there, rehearsals=[drill("d", zone_lost("b"))]), NOW)
    assert drilled(found) == {("app", "frozen"), ("aside", "frozen")}


def _zoned(instance: Instance) -> Instance:
    """Zone b has an app, a cache whose role is not known, and what stands aside."""
    return replace(instance, zone="b") if instance.name in ("app-2", "cache-2", "aside-1") else instance


def test_holes_are_where_a_registered_fault_could_strike() -> None:
    found = the_map()
    errors = {f'{kind}("model-1")' for kind, fault in REGISTRY.items() if fault.mode is Mode.ERRORS}
    assert cell(found, "model", Mode.ERRORS).call in errors
    assert cell(found, "app", Mode.ERRORS).state is State.IDLE, "it publishes the port, but plays no provider"
    assert cell(found, "app → db", Mode.CUT).call == 'edge_down("app-1", "db")'
    assert cell(found, "app", Mode.GONE).call == 'kill("app-1")'
    assert cell(found, "db", Mode.GONE).call == 'kill("db-1", allow_total_loss=True)'
    assert cell(found, "cache.primary", Mode.GONE).call == 'kill("cache.primary")'
    assert cell(found, "cache.primary", Mode.GONE).state is State.HOLE
    assert Mode.HANDOVER not in found.modes, "no Patroni here"


def test_a_fault_that_needs_a_part_is_refused_where_nobody_plays_it() -> None:
    llm_error("model-1").validate(STACK)
    with pytest.raises(ConfigError, match="app-1 plays no 'llm'; who does: model-1, model-2"):
        llm_error("app").validate(STACK)


def test_without_a_stack_there_is_no_map() -> None:
    with pytest.raises(ConfigError, match="declare it"):
        mapped(Planned(error="ConfigError: declare it"), NOW)
