"""Runbooks and drills know of each other: who reads one finds the other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize("runbook", sorted((ROOT / "runbooks").glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_names_only_drills_that_there_are(runbook: Path) -> None:
    named = set(re.findall(r"\btest_[a-z_]+(?=`)", runbook.read_text()))
    assert named <= {test.partition("::")[2] for test in DRILLS}
