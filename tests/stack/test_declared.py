"""Which stacks a project declares, and what is said where it does not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from blackstart.model.errors import ConfigError
from blackstart.stack.declared import load_stack, stack_names

MODULE = """
from dataclasses import replace
from tests.smallstack import stack as small

first = small
other = replace(small, name="other")
misnamed = replace(small, name="elsewhere")
number = 7
"""

Project = Callable[[str], Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Writes a project with a pyproject.toml of these lines, in which `{here}` is a module of stacks."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    here = f"stacks_of_{tmp_path.name}"
    (tmp_path / f"{here}.py").write_text(MODULE)

    def write(lines: str) -> Path:
        (tmp_path / "pyproject.toml").write_text(lines.replace("{here}", here))
        return tmp_path

    return write


BOTH = """
[tool.blackstart]
stack = "{here}:first"
[tool.blackstart.stacks]
other = "{here}:other"
misnamed = "{here}:misnamed"
"""


def test_the_first_stack_needs_no_name_and_others_go_by_theirs(project: Project) -> None:
    root = project(BOTH)
    assert load_stack(root).name == "small"
    assert load_stack(root, "other").name == "other"
    assert stack_names(root) == ("", "misnamed", "other")


def test_a_project_may_have_named_stacks_alone(project: Project) -> None:
    root = project('[tool.blackstart.stacks]\nother = "{here}:other"')
    assert stack_names(root) == ("other",)
    assert load_stack(root, "other").name == "other"
    with pytest.raises(ConfigError, match=r"names no stack: declare it.*\[tool\.blackstart\] stack"):
        load_stack(root)


def test_an_unknown_name_is_answered_with_those_there_are(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"no stack 'ohter' .*there are: misnamed, other"):
        load_stack(project(BOTH), "ohter")
    with pytest.raises(ConfigError, match=r"no stack 'other' .*there are: none"):
        load_stack(project('[tool.blackstart]\nstack = "{here}:first"'), "other")


def test_one_name_means_one_stack(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"'misnamed' calls itself 'elsewhere'.*Stack\(name=\"misnamed\"\)"):
        load_stack(project(BOTH), "misnamed")
    taken = '[tool.blackstart]\nstack = "{here}:other"\n[tool.blackstart.stacks]\nother = "{here}:first"'
    with pytest.raises(ConfigError, match=r"'other' under .* rename one"):
        load_stack(project(taken))


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("", "names no stack"),
        ("[tool.blackstart]\nstack = 3", "names no stack"),
        ('[tool.blackstart]\nstack = "{here}.first"', "names no stack"),
        ('[tool.blackstart]\nstack = "{here}:third"', "cannot load the stack"),
        ('[tool.blackstart]\nstack = "nothing_of_the_kind:first"', "nothing_of_the_kind"),
        ('[tool.blackstart]\nstack = "{here}:number"', "is a int, not a blackstart Stack"),
        ('[tool.blackstart]\nstacks = "{here}:other"', "stacks is no table"),
        ('[tool.blackstart.stacks]\nother = "{here}"', "other = .*write name ="),
        ('[tool.blackstart.stacks]\n"" = "{here}:other"', r"\(no name\) = "),
    ],
)
def test_what_is_declared_wrongly_is_said(project: Project, lines: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        load_stack(project(lines))


def test_without_a_pyproject_it_is_said_where_one_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"no pyproject\.toml in {tmp_path}: declare it"):
        stack_names(tmp_path)
