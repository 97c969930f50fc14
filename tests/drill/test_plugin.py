"""The pytest plugin, seen from a user's suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from blackstart.model.errors import ConfigError
from blackstart.model.experiment import Control, Experiment
from blackstart.model.objectives import Objectives
from blackstart.model.stack import Variant
from blackstart.plugin import rotated

pytest_plugins = ["pytester"]

DRILL = """
from blackstart import Control, Objectives, experiment

@experiment(
    hypothesis="h", runbook="r",
    objectives=Objectives(lost=0), control=Control(variant="v", breaks="lost"),
)
def test_one(drill):
    pass

def test_plain():
    pass
"""


def test_importing_the_plugin_imports_neither_docker_nor_kubernetes() -> None:
    code = (
        "import sys, blackstart.plugin; "
        "heavy = {'docker', 'kubernetes', 'testcontainers', 'requests', 'aiohttp'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_drills_run_only_when_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=DRILL)
    result = pytester.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(["*test_plain*"])
    result.stdout.no_fnmatch_line("*test_one*")
    result = pytester.runpytest("--collect-only", "-q", "-m", "chaos")
    result.stdout.fnmatch_lines(["*test_one?trial1?*"])


def test_a_node_id_names_a_drill(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=DRILL)
    result = pytester.runpytest("--collect-only", "-q", "test_it.py::test_one")
    result.stdout.fnmatch_lines(["*test_one?trial1?*"])


def test_trials_controls_and_placebos_are_runs_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=DRILL)
    result = pytester.runpytest(
        "--collect-only", "-q", "-m", "chaos", "--chaos-trials", "2", "--chaos-controls", "--chaos-placebo"
    )
    result.stdout.fnmatch_lines(
        ["*test_one?placebo?", "*test_one?trial1?", "*test_one?trial2?", "*test_one?control-*?"]
    )


STACKS = """
from blackstart import Control, Objectives, experiment

def on(stack):
    return experiment(
        hypothesis="h", runbook="r", objectives=Objectives(lost=0),
        control=Control(variant="v", breaks="lost"), stack=stack,
    )

@on("zoo")
def test_zoo(drill):
    pass

@on("other")
def test_other_two(drill):
    pass

def test_plain():
    pass

@on("")
def test_first(drill):
    pass

@on("other")
def test_other_one(drill):
    pass
"""


def test_drills_of_one_stack_are_behind_each_other_the_first_stacks_at_the_front(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_it=STACKS)
    result = pytester.runpytest(
        "--collect-only", "-q", "-m", "chaos or not chaos", "--chaos-controls", "--chaos-trials", "2"
    )
    found = [line.partition("::test_")[2] for line in result.outlines if "::" in line]
    runs = ("[trial1]", "[trial2]", "[control-v]")
    drills = [f"{name}{run}" for name in ("first", "other_two", "other_one", "zoo") for run in runs]
    # The plain test stood behind two drills of three runs each, and stays there.
    assert found == [*drills[:6], "plain", *drills[6:]]


def test_a_drill_on_a_stack_that_nobody_declared_is_an_error_that_names_the_others(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_it=STACKS)
    pytester.makepyprojecttoml('[tool.blackstart.stacks]\nrecovery = "nowhere:stack"')
    result = pytester.runpytest("-m", "chaos", "-k", "zoo")
    result.assert_outcomes(errors=1, deselected=4)
    assert result.ret == 3
    result.stdout.fnmatch_lines(["*ConfigError: no stack 'zoo' *there are: recovery"])


@pytest.mark.parametrize(("number", "of"), [(2, 11), (2, 10), (3, 2), (1, 1), (0, 4), (2, 0)])
def test_every_control_has_its_turn(number: int, of: int) -> None:
    days = [rotated(number, of, day) for day in range(738_000, 738_000 + -(-of // number if number else 0))]
    assert all(len(turn) == min(number, of) for turn in days)
    assert set().union(*days) == (set(range(of)) if number else set())


def test_of_the_controls_that_are_selected_some_have_their_turn(pytester: pytest.Pytester) -> None:
    marked = "import pytest\n" + DRILL.replace("@experiment", "@pytest.mark.headline\n@experiment")
    pytester.makeini("[pytest]\nmarkers = headline")
    pytester.makepyfile(test_a=marked, test_b=marked, test_c=DRILL)
    options = ("--collect-only", "-q", "-m", "chaos and headline", "--chaos-placebo")
    lines = pytester.runpytest(*options, "--chaos-rotate", "1").outlines
    assert sum("control-" in line for line in lines) == 1
    assert sum("placebo" in line for line in lines) == sum("trial1" in line for line in lines) == 2
    lines = pytester.runpytest(*options, "--chaos-controls").outlines
    assert sum("control-" in line for line in lines) == 2


def test_a_project_without_a_stack_is_told_how_to_declare_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=DRILL)
    result = pytester.runpytest("-m", "chaos")
    result.assert_outcomes(errors=1, deselected=1)
    result.stdout.fnmatch_lines(["*ConfigError*tool.blackstart*"])


def test_a_control_must_break_a_declared_objective(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=DRILL.replace('breaks="lost"', 'breaks="rto"'))
    result = pytester.runpytest("-m", "chaos")
    result.stdout.fnmatch_lines(["*the control breaks 'rto'*objectives: lost*"])


def test_an_unknown_platform_names_the_known_ones(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=DRILL)
    result = pytester.runpytest("-m", "chaos", "--chaos-platform", "podman")
    result.stdout.fnmatch_lines(["*unknown platform 'podman'; known: docker*"])


@pytest.mark.parametrize(
    ("raised", "code", "tag"),
    [("PlatformError('gone')", 3, "<error"), ("HypothesisFailed('no')", 1, "<failure")],
)
def test_harness_trouble_is_an_error_and_a_refuted_hypothesis_a_failure(
    pytester: pytest.Pytester, raised: str, code: int, tag: str
) -> None:
    name = raised.partition("(")[0]
    pytester.makepyfile(
        test_it=f"""
        import pytest
        from blackstart.model.errors import {name}

        @pytest.mark.chaos
        def test_one():
            raise {raised}
        """
    )
    result = pytester.runpytest("-m", "chaos", "--junitxml=junit.xml")
    assert result.ret == code
    assert tag in (pytester.path / "junit.xml").read_text()


def test_a_variant_or_runbook_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    spec = Experiment("e", "h", "down", Objectives(lost=0), (Control("weak", "lost"),))
    with pytest.raises(ConfigError, match="no variant 'weak'; the stack has: other"):
        spec.validate([Variant("other", "another")], tmp_path)
    with pytest.raises(ConfigError, match=r"no runbook .*down\.md; there are: up"):
        (tmp_path / "up.md").touch()
        spec.validate([Variant("weak", "weak")], tmp_path)


def test_ceilings_under_the_bounds_are_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=DRILL)
    result = pytester.runpytest("-m", "chaos", "--chaos-ceilings", "0.5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--chaos-ceilings 0.5: at least 1*"])
