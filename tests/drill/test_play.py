"""A schedule is played through the attempt's own machinery, on a platform in memory."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from blackstart.drill.attempt import Attempt
from blackstart.drill.gates import Gates
from blackstart.drill.play import Player
from blackstart.drill.trial import Drill
from blackstart.faults import freeze, kill
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal
from blackstart.injection.stopping import Stop, Stopped
from blackstart.model.errors import ConfigError, EvidenceError, InjectionError, LoadError
from blackstart.model.experiment import Role
from blackstart.schedule import Action, Schedule, from_run, inject, parallel, sequence, undo, wait
from tests.faults.fakes import FakeSite, site


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))


def attempt(where: FakeSite, role: Role = Role.DRILL, lasts: str = "1m") -> Attempt:
    """An attempt between its baseline and its end, on a stack whose slowest detector takes 0.2 s a round."""
    object.__setattr__(where.stack, "detector_period", "200ms")
    progress = SimpleNamespace(say=lambda text: None)
    session = SimpleNamespace(running=where, progress=progress, stop=Stop())
    drill = SimpleNamespace(session=session, experiment=None, role=role, step=False)
    made = Attempt(cast(Drill, drill), Path(), random.Random(1))
    made.start_ns = time.monotonic_ns()
    made.variant = None
    made.plan = cast(Any, SimpleNamespace(max_duration=lasts))
    made.load = cast(Any, SimpleNamespace(alive=True))
    made.injector = Injector(where, made._fault_event, Journal("r1"))
    made.events = cast(Any, SimpleNamespace(write=lambda *_, **__: None))
    made.gates = Gates(made.events.write)
    return made


def play(made: Attempt, *actions: Action, seed: int = 0) -> Schedule:
    schedule = Schedule(actions, seed)
    Player(made).play(schedule)
    return schedule


def steps(made: Attempt) -> list[dict[str, Any]]:
    return [entry for entry in made.schedule if "planned_s" in entry]


def test_every_step_is_done_at_its_time_and_recorded() -> None:
    where = site()
    made = attempt(where)
    schedule = play(
        made,
        parallel(
            sequence(inject(kill("app-1"), "dead"), wait("400ms"), undo("dead")),
            sequence(wait("200ms"), inject(freeze("pg-2"), "frozen")),
        ),
        wait("100ms"),
        seed=5,
    )
    assert where.platform.log == ["exited bs-r1-app-1", "paused bs-r1-pg-2", "running bs-r1-app-1"]
    assert [(s["action"], s.get("name"), s["planned_s"]) for s in steps(made)] == [
        ("inject", "dead", 0.0),
        ("inject", "frozen", 0.2),
        ("undo", "dead", 0.4),
        ("end", None, 0.5),
    ]
    for step in steps(made):
        assert step["actual_s"] == pytest.approx(step["planned_s"] + step["late_s"], abs=0.002)
    (begin,) = (entry for entry in made.schedule if entry["action"] == "play")
    assert (begin["seed"], begin["duration_s"]) == (5, 0.5)
    assert made.faults[0]["begin_s"] > begin["at_s"], "both in seconds of the run"
    assert [each.fault.kind for each in made.injector.in_force] == ["freeze"], (
        "the rest is the drill's to undo"
    )
    again = from_run({"seed": 1, "schedule": made.schedule, "faults": made.faults})
    assert again.compile() == schedule.compile()
    made.injector.undo_all()


def test_only_the_first_fault_of_a_drill_waits_for_the_random_phase() -> None:
    made = attempt(site())
    phase_s = random.Random(1).uniform(0, 0.2)
    play(made, inject(freeze("pg-2"), "a"), undo("a"), inject(freeze("pg-1"), "b"), undo("b"))
    play(made, inject(freeze("pg-2"), "a"), undo("a"))
    waits = [entry["seconds"] for entry in made.schedule if entry["action"] == "wait"]
    assert waits == [pytest.approx(phase_s, abs=0.001)]
    assert [entry["action"] for entry in made.schedule[:3]] == ["wait", "play", "inject"]


def test_a_step_that_is_held_up_says_by_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    where = site()
    pause = where.platform.pause

    def slowly(name: str) -> None:
        threading.Event().wait(0.7)
        pause(name)

    monkeypatch.setattr(where.platform, "pause", slowly)
    made = attempt(where)
    play(made, inject(freeze("pg-2"), "a"), wait("100ms"), undo("a"), wait("1s"))
    late = {step["action"]: step["late_s"] for step in steps(made)}
    assert late["undo"] >= 0.6
    assert late["end"] < late["undo"], "what comes later is in time again"
    assert any(note.startswith("schedule: undo a came ") for note in made.notes)


def test_a_fault_that_cannot_be_injected_stops_the_play_and_all_of_it_is_undone() -> None:
    where = site()
    made = attempt(where)
    before = made.inject(freeze("pg-1"))
    with pytest.raises(InjectionError, match="frozen already"):
        play(
            made,
            inject(kill("app-1"), "a"),
            inject(freeze("pg-2"), "b"),
            inject(freeze("pg-2"), "c"),
            wait("30s"),
        )
    assert where.platform.log[-2:] == ["running bs-r1-pg-2", "running bs-r1-app-1"]
    assert made.injector.in_force == [before], "what the drill injected itself is its own"
    assert [step.get("name") for step in steps(made)] == ["a", "b", "c"]
    made.injector.undo_all()


def test_a_placebo_waits_and_injects_nothing() -> None:
    where = site()
    made = attempt(where, Role.PLACEBO)
    began = time.monotonic()
    play(made, inject(kill("app-1"), "a"), wait("300ms"), undo("a"), wait("200ms"))
    assert time.monotonic() - began >= 0.5
    assert where.platform.log == []
    assert steps(made) == []


def test_a_load_that_ends_ends_the_play() -> None:
    where = site()
    made = attempt(where)
    made.load = cast(Any, SimpleNamespace(alive=False))
    with pytest.raises(LoadError):
        play(made, inject(kill("app-1"), "a"), wait("30s"), undo("a"))
    assert where.platform.log == ["exited bs-r1-app-1", "running bs-r1-app-1"]


def test_a_run_that_is_to_stop_stops_the_play_and_all_of_it_is_undone() -> None:
    where = site()
    made = attempt(where)
    timer = threading.Timer(0.5, made.stop.request, ("enough",))
    timer.start()
    with pytest.raises(Stopped):
        play(made, inject(kill("app-1"), "a"), wait("30s"), undo("a"))
    assert where.platform.log == ["exited bs-r1-app-1", "running bs-r1-app-1"]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: [inject(kill("nobody"), "a")], r"actions\[0\]\.fault: unknown target 'nobody'"),
        (lambda: [inject(kill("app-1"), "a"), wait("10s"), inject(freeze("x"), "b")], r"actions\[2\]\.fault"),
        (lambda: [inject(kill("app-1"), "a"), wait("59900ms")], "the load only 59.* raise max_duration"),
        (lambda: [inject(kill("app-1"), "a"), wait("1s"), undo("b")], "no 'b' is in force then; in force: a"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_touched(
    make: Callable[[], list[Action]], named: str
) -> None:
    where = site()
    made = attempt(where)
    with pytest.raises(ConfigError, match=named):
        play(made, *make())
    assert (where.platform.log, made.schedule) == ([], [])


def test_while_somebody_looks_around_the_play_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    made = attempt(site())
    made.drill.step = True
    monkeypatch.setattr("blackstart.drill.attempt.wait_for_enter", lambda stop: stop.wait(2))
    began = time.monotonic()
    play(made, inject(freeze("pg-2"), "a"), wait("300ms"), undo("a"))
    assert time.monotonic() - began >= 2.3
    assert steps(made)[-1]["late_s"] < 1.5, "it would be 1.7 s late"


def test_who_looks_around_is_sent_away_when_the_run_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    made = attempt(site())
    made.drill.step = True
    monkeypatch.setattr("blackstart.drill.attempt.wait_for_enter", lambda stop: stop.wait(30))
    timer = threading.Timer(0.2, made.stop.request, ("enough",))
    timer.start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        made.inject(freeze("pg-2"))
    assert time.monotonic() - began < 10


def test_a_bite_that_is_waited_for_when_the_run_stops_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    where = site()
    made = attempt(where)
    monkeypatch.setattr(where.platform, "pause", lambda name: made.stop.request("enough"))
    with pytest.raises(Stopped):
        made.inject(freeze("pg-2", max_duration="100ms"))


def test_a_disk_that_is_full_when_the_run_stops_keeps_no_fault_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> int:
        raise EvidenceError("events.jsonl", "No space left on device")

    where = site()
    made = attempt(where)
    made.inject(freeze("pg-2"))
    monkeypatch.setattr(made.events, "write", full)
    with pytest.raises(EvidenceError):
        made._stopped("enough")
    assert where.platform.state["bs-r1-pg-2"] == "running"
