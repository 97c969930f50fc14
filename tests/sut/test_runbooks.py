"""Runbooks and drills know of each other: who reads one finds the other."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from blackstart.runbook.parse import read_runbook

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "runbooks").glob("*.md"))


def drills() -> dict[str, str]:
    """By test, as `test_app.py::test_zone_lost`, the runbook that it names."""
    found = {}
    for path in sorted((ROOT / "experiments").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "experiment":
                    [named] = [k.value for k in call.keywords if k.arg == "runbook"]
                    assert isinstance(named, ast.Constant)
                    found[f"{path.name}::{node.name}"] = str(named.value)
    return found


DRILLS = drills()


@pytest.mark.parametrize("test", DRILLS)
def test_a_drill_is_named_in_its_runbook(test: str) -> None:
    name = test.partition("::")[2]
    assert f"{name}`" in (ROOT / "runbooks" / f"{DRILLS[test]}.md").read_text()


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_names_only_drills_that_there_are(runbook: Path) -> None:
    named = set(re.findall(r"\btest_[a-z_]+(?=`)", runbook.read_text()))
    assert named <= {test.partition("::")[2] for test in DRILLS}


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_the_blocks_of_a_runbook_are_steps_in_good_bash(runbook: Path) -> None:
    blocks = read_runbook(runbook).blocks
    assert blocks
    code = "\n".join(block.code for block in blocks)
    done = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_whoever_follows_a_runbook_is_told_to_stop_where_a_step_fails(runbook: Path) -> None:
    before, _, _ = runbook.read_text().partition("\n```sh")
    assert "`set -euo pipefail`" in before


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_that_finds_a_run_takes_the_one_that_is_given(runbook: Path) -> None:
    code = "\n".join(block.code for block in read_runbook(runbook).blocks)
    found = re.findall(r"^RUN=.*$", code, re.M)
    assert all(line.startswith("RUN=${RUN:-") for line in found), found
