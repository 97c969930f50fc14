"""`--chaos-plan`, seen from a user's suite: what it says, and that it touches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

# Imported here, so that the suites below, which run in this process, need not do it each time.
from blackstart.drill import plan as _plan
from blackstart.faults import zone_lost
from blackstart.model.stack import Instance
from tests.faults.fakes import IMAGE, stack

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

STACK = """
from blackstart.faults import edge_latency
from blackstart.model.stack import Image, Instance, Stack, Variant

class Roles:
    roles = ("primary", "replica")

IMAGE = Image("none", __file__)
stack = Stack(
    "planned",
    IMAGE,
    (
        Instance("db-1", "db", IMAGE, {"sql": 5432}),
        Instance("db-2", "db", IMAGE, {"sql": 5432}, "b"),
        Instance("app-1", "app", IMAGE, {"http": 80}, calls=("db-1", "db-2")),
        Instance("app-2", "app", IMAGE, {"http": 80}, "b", calls=("db-1", "db-2")),
    ),
    roles={"db": Roles()},
    variants=(
        Variant("weak", "nothing is protected", faults=(edge_latency("app", "db.primary"),), lead="2s"),
    ),
)
"""

DRILLS = """
import pytest
from blackstart import Control, Objectives, edge_down, experiment, freeze, kill, promoted

@pytest.fixture
def running():
    raise AssertionError("a fixture was set up")

def declared(**more):
    return experiment(hypothesis="h", runbook="down", objectives=Objectives(lost=0),
                      control=Control(variant="weak", breaks="lost"), **more)

@declared()
def test_crash(drill):
    drill.inject(kill("db.primary", max_duration="90s"))
    drill.observe(until=promoted("db"), limit="30s")

@declared()
def test_cut(drill):
    with drill.inject(edge_down("app[zone=b]", "db.replica")):
        drill.hold("12s")

@declared()
def test_asking(drill, running):
    drill.inject(freeze("app-2"))
    running.look()

def test_other(running):
    pass
"""


OTHER = """
other = Stack(
    "other",
    IMAGE,
    (Instance("disk-1", "disk", IMAGE, {"nfs": 2049}),),
    variants=(Variant("weak", "forgets"),),
)
"""

ELSEWHERE = """
@declared(stack="other")
def test_elsewhere(drill):
    drill.inject(kill("disk-1", allow_total_loss=True))
    drill.observe()
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a stack of two services and three drills."""
    pytester.makepyfile(planned_stack=STACK, test_it=DRILLS)
    pytester.makepyprojecttoml('[tool.blackstart]\nstack = "planned_stack:stack"')
    (pytester.path / "runbooks").mkdir()
    (pytester.path / "runbooks" / "down.md").touch()
    return pytester


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each project declares its own `planned_stack`."""
    monkeypatch.delitem(sys.modules, "planned_stack", raising=False)


def plan(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    sys.modules.pop("planned_stack", None)
    return project.runpytest("-m", "chaos", "--chaos-plan", *options)


def test_it_says_what_is_injected_where_and_for_how_long(project: pytest.Pytester) -> None:
    result = plan(project, "--chaos-controls")
    assert result.ret == 0
    result.assert_outcomes(deselected=1)
    result.stdout.fnmatch_lines(
        [
            "it.crash: h",
            "*1. inject kill(db.primary)*",
            "*where: whichever of db-1 and db-2 is db.primary when it strikes",
            "*how long: the observation, then until the end of the drill*; 1?min?30?s at most",
            "*undo: Start the containers that are down*",
            "*ends in place: no*blackstart heal*",
            "*2. observe until another db is primary, at most 30*s; then *",
            "*trial 1: about 26 s, an estimate",
            "*control weak: about 36 s, an estimate; 'lost' must break",
            "*weakened first: nothing is protected",
            "*and 2s before*edge_latency(app, upstream=db.primary*",
            "*where: app-1 and app-2 (all of app) to whichever of db-1 and db-2 is db.primary*",
            "it.cut: h",
            "*where: app-2 (all of app?zone=b?) to whichever of db-1 and db-2 is db.replica *",
            "*how long: 12*s of holds, then it is undone; 2?min?0?s at most",
            "*ends in place: yes*",
            "it.asking: h",
            "*inject freeze(app-2)*",
            "*from here on only a running stack can tell: the test asks for the fixture 'running'",
            "*trial 1: at least *",
            "in total about 3 min * s, an estimate: 6 runs*",
        ]
    )


FOLLOWING = """
@declared()
def test_lost(drill):
    drill.inject(kill("db.primary"))
    drill.follow("down", "find", "copy", limit="2m")
"""


def test_it_says_which_steps_of_which_runbook_are_followed(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=DRILLS + FOLLOWING)
    (project.path / "runbooks" / "down.md").write_text("```sh {name=find}\n```\n\n```sh {name=copy}\n```\n")
    result = plan(project, "-k", "lost")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*how long: the runbook, then until the end of the drill*",
            "*2. follow the runbook down: find, copy; at most 2*min*",
            "*trial 1: about *",
        ]
    )


def test_a_step_that_the_runbook_has_not_is_found_and_exits_3(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=DRILLS + FOLLOWING)
    result = plan(project, "-k", "lost")
    assert result.ret == 3
    result.stdout.fnmatch_lines(["*ERROR: ConfigError: *down.md: no step 'find'; there are: none"])


def test_a_fault_without_a_selector_says_where_too() -> None:
    declared = replace(stack(), instances=(*stack().instances, Instance("x-1", "x", IMAGE, {}, "b")))
    assert _plan.where(zone_lost("b"), declared) == "pg-2 and x-1"


def test_only_what_is_selected_is_planned(project: pytest.Pytester) -> None:
    result = plan(project, "-k", "cut")
    result.stdout.fnmatch_lines(["it.cut: h", "in total*: 1 run,*"])
    result.stdout.no_fnmatch_line("it.crash*")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            'kill("db.primary"',
            'kill("bd.primary"',
            "*ERROR: ConfigError: unknown target 'bd'; services: db, app*",
        ),
        ('promoted("db")', 'promoted("app")', "*ERROR: ConfigError: *no such service with roles; known: db"),
        ('runbook="down"', 'runbook="up"', "*ERROR: ConfigError: *no runbook *up.md; there are: down"),
        ('drill.hold("12s")', "assert False, 'mistake'", "*ERROR: the test raises AssertionError: mistake*"),
    ],
)
def test_what_is_declared_wrongly_is_found_and_exits_3(
    project: pytest.Pytester, old: str, new: str, error: str
) -> None:
    project.makepyfile(test_it=DRILLS.replace(old, new))
    result = plan(project)
    assert result.ret == 3
    result.stdout.fnmatch_lines([error])


def test_a_project_without_a_stack_exits_3(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=DRILLS)
    result = pytester.runpytest("-m", "chaos", "--chaos-plan")
    assert result.ret == 3
    result.stdout.fnmatch_lines(["ERROR: ConfigError: *tool.blackstart*", "it.crash: h"])


@pytest.fixture
def two(project: pytest.Pytester) -> pytest.Pytester:
    """The project with a second stack, and a drill on it."""
    first = DRILLS.replace("@declared()", f"{ELSEWHERE}\n@declared()", 1)
    project.makepyfile(planned_stack=STACK + OTHER, test_it=first)
    named = '[tool.blackstart.stacks]\nother = "planned_stack:other"'
    project.makepyprojecttoml(f'[tool.blackstart]\nstack = "planned_stack:stack"\n{named}')
    return project


def test_each_drill_is_planned_on_its_own_stack(two: pytest.Pytester) -> None:
    result = plan(two, "--chaos-controls")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "it.crash: h",
            "  stack: planned",
            "it.asking: h",
            "  stack: planned",
            "it.elsewhere: h",
            "  stack: other",
            "*1. inject kill(disk-1*",
            "*where: disk-1",
            "*weakened first: forgets",
            "in total *, an estimate: 8 runs, and * for 2 stacks, one at a time, to start *their images*",
        ]
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("disk-1", "db-1", ["it.elsewhere: h", "*ERROR: *: unknown target 'db-1'; services: disk*"]),
        ("other", "ohter", ["ERROR: ConfigError: no stack 'ohter' *: other", "it.crash: h", "*1. inject *"]),
    ],
)
def test_a_target_of_another_stack_and_a_stack_that_is_none_are_found(
    two: pytest.Pytester, old: str, new: str, said: list[str]
) -> None:
    two.makepyfile(test_it=DRILLS + ELSEWHERE.replace(old, new))
    result = plan(two)
    assert result.ret == 3
    result.stdout.fnmatch_lines([*said, "in total *"])


def past(folder: Path, **told: Any) -> None:
    """A run of `it.crash` as it lies among the reports."""
    experiment = told.pop("experiment", "it.crash")
    run = {
        "run_id": folder.parent.parent.name,
        "experiment": {"name": experiment},
        "role": "drill",
        "verdict": "pass",
        "started": (datetime.now(UTC) - timedelta(days=3, hours=1)).isoformat(),
        "duration_s": 40.0,
        "timings": {"prepare_s": 1.4},
        "stack": {"name": "planned", "start_s": 50.0},
        **told,
    }
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run))


def test_a_run_takes_as_long_as_last_time(project: pytest.Pytester) -> None:
    reports = project.path / "reports"
    past(reports / "s1" / "it.crash" / "trial-1", duration_s=99, started="2026-01-01T00:00:00+00:00")
    past(reports / "s2" / "it.crash" / "trial-1")
    past(reports / "s3" / "it.crash" / "trial-1", duration_s=5, stack={"name": "another"})
    past(reports / "s4" / "it.crash" / "trial-1", duration_s=6, superseded=True)
    past(reports / "s5" / "it.crash" / "placebo", duration_s=7, role="placebo")
    (reports / "latest").symlink_to("s1")
    result = plan(project, "-k", "crash")
    result.stdout.fnmatch_lines(
        [
            "*trial 1: about 41 s, as last time (s2, 3*days ago, pass)",
            "in total about 1 min 31 s, as last time: 1 run, and 50 s for the stack to start*",
        ]
    )


def test_only_runs_on_its_own_stack_tell_how_long_a_drill_takes(two: pytest.Pytester) -> None:
    reports, told = two.path / "reports", {"experiment": "it.elsewhere"}
    past(reports / "s1" / "it.elsewhere" / "trial-1", **told, stack={"name": "other", "start_s": 20.0})
    past(reports / "s2" / "it.elsewhere" / "trial-1", **told, duration_s=99)
    result = plan(two, "-k", "elsewhere")
    result.stdout.fnmatch_lines(
        ["*trial 1: about 41 s, as last time (s1, *", "in total about 1 min 1 s, as last time: 1 run,*"]
    )


def test_what_only_a_running_stack_can_tell_is_told_by_the_last_run(project: pytest.Pytester) -> None:
    faults = [
        {"source": "fault", "fault": {"kind": "freeze", "target": "app-2"}},
        {"source": "variant", "fault": {"kind": "edge_latency", "target": "app", "upstream": "db"}},
        {"source": "fault", "fault": {"kind": "kill", "target": "db-2"}},
    ]
    past(project.path / "reports" / "s1" / "it.asking" / "trial-1", experiment="it.asking", faults=faults)
    result = plan(project, "-k", "asking")
    result.stdout.fnmatch_lines(["*last time (s1) it went on with: kill(db-2)"])


def test_planning_the_sample_loads_no_docker_and_needs_none() -> None:
    code = (
        "import sys, pytest\n"
        "code = pytest.main(['-m', 'chaos', 'experiments', '--chaos-plan', '-p', 'no:cacheprovider'])\n"
        "heavy = {'docker', 'testcontainers', 'kubernetes', 'aiohttp'} & set(sys.modules)\n"
        "sys.exit(code or ', '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "inject kill(postgres.primary, process=postgres)" in done.stdout
