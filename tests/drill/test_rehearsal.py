"""A drill's body on a stand-in: what it asks for is written down, and nothing is touched."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from blackstart.drill.rehearsal import OnStack, Rehearsal, RehearsedDrill, rehearse
from blackstart.drill.trial import Drill
from blackstart.faults import edge_down, freeze, kill, switchover, zone_lost
from blackstart.model.experiment import Control, Experiment, Role
from blackstart.model.objectives import Objectives
from blackstart.observe.until import promoted
from blackstart.schedule import Schedule, inject, undo, wait
from tests.faults.fakes import stack

SPEC = Experiment("e", "h", "r", Objectives(lost=0), (Control("weak", "lost"),))


def rehearsed(body: Callable[..., None], **arguments: Any) -> Rehearsal:
    rehearsal = Rehearsal(SPEC, Role.DRILL, 1, None)

    def test(drill: Any, **others: Any) -> None:
        drill.run(lambda drill: body(drill, **others))

    rehearse(rehearsal, stack(), test, arguments)
    return rehearsal


def actions(rehearsal: Rehearsal) -> list[str]:
    return [step.action for step in rehearsal.steps]


def test_a_peak_of_the_load_is_told_with_its_end() -> None:
    def body(drill: Drill) -> None:
        with drill.peak(chat=48, sql_write=2.5):
            drill.hold("1s")

    found = rehearsed(body)
    assert actions(found) == ["peak", "hold", "calm"]
    assert found.steps[0].name == "chat 48/s, sql-write 2.5/s"


def test_what_a_body_asks_for_is_written_down_in_order() -> None:
    def body(drill: Drill) -> None:
        with drill.inject(edge_down("app-1", "postgres.primary")):
            drill.hold("600ms")
            drill.inject(kill("postgres.primary"))
        drill.observe(until=promoted("postgres"), limit="20s")
        drill.count("keys_lost", 0)

    found = rehearsed(body)
    assert (found.needs, found.error) == ("", "")
    assert actions(found) == ["inject", "hold", "inject", "undo", "observe", "count"]
    assert [step.number for step in found.steps] == [1, 0, 2, 1, 0, 0]
    assert found.steps[1].hold_s == 0.6
    assert (found.steps[4].until, found.steps[4].limit_s) == ("another postgres is primary", 20)
    assert found.faults == [edge_down("app-1", "postgres.primary"), kill("postgres.primary")]


def test_what_is_followed_is_written_down_and_what_came_of_it_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "lost.md").write_text("```sh {name=find}\n```\n\n```sh {name=copy}\n```\n")
    monkeypatch.chdir(tmp_path)

    def body(drill: Drill) -> None:
        drill.follow("lost", "find", "copy", limit="90s")
        followed = drill.follow("lost", "copy", fails="checksum")
        drill.hold("1s")
        assert followed.output

    found = rehearsed(body)
    assert (found.needs, found.error) == ("what came of following lost", "")
    assert [(s.action, s.name, s.limit_s) for s in found.steps] == [
        ("follow", "lost: find, copy", 90),
        ("follow", "lost: copy, of which the last must fail with 'checksum'", 300),
        ("hold", "", 0),
    ]
    assert (
        "no step 'move'; there are: find, copy" in rehearsed(lambda drill: drill.follow("lost", "move")).error
    )
    assert "no runbook" in rehearsed(lambda drill: drill.follow("found", "find")).error


def test_a_schedule_is_written_down_step_by_step() -> None:
    def body(drill: Drill) -> None:
        drill.play(Schedule((inject(kill("pg-1"), "a"), wait("2s"), undo("a"), wait("500ms"))))

    found = rehearsed(body)
    assert (found.needs, found.error) == ("", "")
    assert [(s.action, s.number, s.hold_s) for s in found.steps] == [
        ("inject", 1, 0.0),
        ("hold", 0, 2.0),
        ("undo", 1, 0.0),
        ("hold", 0, 0.5),
    ]


def test_a_schedule_that_the_stack_cannot_have_is_an_error_with_its_place() -> None:
    found = rehearsed(lambda drill: drill.play(Schedule((wait(1), inject(kill("nobody"), "a")))))
    assert "actions[1].fault: unknown target 'nobody'" in found.error
    assert found.steps == []


def test_a_schedule_beyond_the_blast_radius_is_an_error() -> None:
    both = Schedule((inject(freeze("pg-1"), "a"), inject(freeze("pg-2"), "b")))
    found = rehearsed(lambda drill: drill.play(both))
    assert "blast radius" in found.error
    assert actions(found) == ["inject"]


@pytest.mark.parametrize(
    ("asks", "what"),
    [
        (lambda drill: drill.stack.role_map("postgres"), "drill.stack"),
        (lambda drill: drill.seed, "drill.seed"),
        (lambda drill: print(drill.inject(kill("pg-1")).bite), "the injection's bite"),
    ],
)
def test_a_body_that_needs_the_running_stack_ends_there_even_past_its_own_except(
    asks: Callable[[Any], None], what: str
) -> None:
    def body(drill: Any) -> None:
        drill.hold(1)
        with contextlib.suppress(Exception):
            asks(drill)
        drill.hold(2)

    found = rehearsed(body)
    assert (found.needs, found.error) == (what, "")
    assert [step.hold_s for step in found.steps if step.action == "hold"] == [1]


@pytest.mark.parametrize(
    "use",
    [lambda f: f.url, lambda f: f("GET", "/"), lambda f: [*f], lambda f: f == 1, lambda f: f"{f}", bool],
)
def test_a_fixture_is_not_there(use: Callable[[Any], Any]) -> None:
    found = rehearsed(lambda drill, sample: use(sample), sample=OnStack("the fixture 'sample'"))
    assert found.needs == "the fixture 'sample'"


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection(("127.0.0.1", 9)),
        lambda: subprocess.run(["true"], check=False),
        lambda: os.system("true"),
        lambda: Path("made").write_text("x"),
        lambda: os.open("made", os.O_RDONLY | os.O_CREAT),
        lambda: Path("there").unlink(),
        lambda: Path("there").replace("made"),
        lambda: Path("made").mkdir(),
    ],
)
@pytest.mark.parametrize("threads", [False, True], ids=["itself", "thread"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nothing_outside_of_the_process_is_reached(
    reach: Callable[[], Any], threads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_a_thread() -> None:
        thread = threading.Thread(target=reach)
        thread.start()
        thread.join()

    monkeypatch.chdir(tmp_path)
    Path("there").touch()
    found = rehearsed(lambda drill: in_a_thread() if threads else reach())
    assert found.needs.startswith("something outside")
    assert [p.name for p in tmp_path.iterdir()] == ["there"]
    assert subprocess.run(["true"], check=False).returncode == 0, "refused while a body is rehearsed only"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (lambda drill: drill.inject(kill("postgre")), "ConfigError: unknown target 'postgre'"),
        (lambda drill: drill.inject(edge_down("pg-1", "app-1")), "ConfigError: no edge from 'pg-1'"),
        (
            lambda drill: drill.inject(freeze("postgres")),
            r"InjectionError: .*blast radius \(zones=1\): zones a, b",
        ),
        (lambda drill: drill.inject(kill("app")), "InjectionError: .*would leave none of app healthy"),
        (lambda drill: drill.observe(until=promoted("postgres")), "ConfigError: .*inject first"),
        (lambda drill: drill.count("gremlins", 1), "ConfigError: nothing is called 'gremlins'"),
        (lambda drill: drill.hold("soon"), "ConfigError: not a duration"),
        (lambda drill: drill.injekt(1), "AttributeError: Drill has no attribute 'injekt'"),
        (lambda drill: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_wrong_with_a_body_is_found(body: Callable[[Any], None], error: str) -> None:
    found = rehearsed(body)
    assert re.search(error, found.error)
    assert not found.needs


def test_a_service_without_roles_has_nobody_to_be_promoted() -> None:
    def body(drill: Drill) -> None:
        drill.inject(freeze("app-1", allow_total_loss=True))
        drill.observe(until=promoted("app"))

    assert "no such service with roles; known: postgres" in rehearsed(body).error


def test_a_body_may_read_and_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_in_a_body.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def body(drill: Any) -> None:
        importlib.import_module("imported_in_a_body")
        (tmp_path / "imported_in_a_body.py").read_text()

    found = rehearsed(body)
    assert (found.needs, found.error) == ("", "")


def test_the_stand_in_answers_to_all_that_a_drill_does() -> None:
    own = set(vars(RehearsedDrill))
    asked = {name for name, value in vars(Drill).items() if callable(value) and not name.startswith("_")}
    assert asked <= own, "a new method of Drill: say what it means in a plan"
    known = {f.name for f in fields(Drill)} | {"stack"}
    for name in known - {"experiment", "role", "trial", "control"}:
        assert rehearsed(lambda drill, name=name: getattr(drill, name)).needs == f"drill.{name}"


def test_the_blast_radius_bounds_what_is_in_force_together_and_known_for_certain() -> None:
    def one_after_the_other(drill: Drill) -> None:
        for name in ("pg-1", "pg-2"):
            with drill.inject(freeze(name)):
                drill.hold("1s")
        drill.inject(switchover("postgres"))

    def together(drill: Drill) -> None:
        drill.inject(freeze("pg-1"))
        drill.inject(freeze("pg-2"))

    assert rehearsed(one_after_the_other).error == ""
    assert "beyond the blast radius" in rehearsed(together).error


def test_a_fault_that_selects_no_instances_is_rehearsed_too() -> None:
    found = rehearsed(lambda drill: drill.inject(zone_lost("b")))
    assert (found.error, found.faults) == ("", [zone_lost("b")])
    assert "would leave none of app healthy" in rehearsed(lambda drill: drill.inject(zone_lost("a"))).error
