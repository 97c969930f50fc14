"""Schedules in files: YAML and JSON, there and back, and where in them something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from blackstart.faults import REGISTRY
from blackstart.model.errors import ConfigError, ScheduleError
from blackstart.schedule import ACTIONS, Action, Schedule, inject
from blackstart.schedule.base import action_from_dict
from blackstart.schedule.file import to_yaml
from tests.schedule.plans import ALL, actions, example


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
def test_a_schedule_with_every_action_round_trips(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plan.{suffix}"
    ALL.save(path)
    assert all(kind in path.read_text() for kind in ACTIONS)
    again = Schedule.load(path)
    assert again == ALL
    assert again.compile() == ALL.compile()


@pytest.mark.parametrize("kind", sorted(REGISTRY))
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_fault_of_every_kind_round_trips(tmp_path: Path, kind: str, suffix: str) -> None:
    schedule = Schedule((inject(example(kind), "it"),))
    path = tmp_path / f"plan.{suffix}"
    schedule.save(path)
    assert Schedule.load(path) == schedule


@settings(deadline=None)  # a busy machine is no defect
@given(actions)
def test_any_action_round_trips(action: Action) -> None:
    told = action.to_dict()
    assert action_from_dict(json.loads(json.dumps(told))) == action
    assert action_from_dict(yaml.safe_load(to_yaml(told))) == action


HEAD = "seed: 1\nactions:\n"


@pytest.mark.parametrize(
    ("text", "line", "named"),
    [
        ("", None, "write a mapping with schema, seed, actions"),
        ("- 1\n", 1, "write a mapping"),
        ("seed: 1\n", 1, "lacks the field 'actions'"),
        ("schema: 2\nactions: []\n", 1, "schema: unknown schema 2; valid is 1"),
        ("actions: []\nsede: 1\n", 2, "sede: .*it has: schema, seed, actions"),
        ("actions: []\nseed: soon\n", 2, "seed: not a count: 'soon'"),
        ("seed: 1\nseed: 2\nactions: []\n", 2, "seed: this field is given twice"),
        ("actions: [\n", 2, "not YAML"),
        ("actions:\n\t- x\n", 2, "not YAML"),
        ("when: 2026-99-99\n", None, "cannot be understood"),
        ("actions: &a [*a]\n", None, "nested too deeply"),
        ("? [a]\n: 1\nactions: []\n", 1, "not YAML"),
        (HEAD + "- wait\n", 3, r"actions\[0\]: not an action: 'wait'"),
        (HEAD + "- {action: wait, duration: 1}\n- {action: jump}\n", 4, "'jump'; known: inject, parallel"),
        (HEAD + "- {duration: 1}\n", 3, "the field 'action' is missing; known: inject"),
        (HEAD + "-\n  action: wait\n  duration: -1\n", 5, r"actions\[0\].duration: .*not negative"),
        (HEAD + "- {action: wait}\n", 3, "lacks the field 'duration'; it has: duration, jitter"),
        (HEAD + "- action: wait\n  duration: 1\n  jiter: 1\n", 5, "jiter: .*it has: duration, jitter"),
        (HEAD + "- action: parallel\n  branches: 1\n", 4, "branches: not a list of actions"),
        (
            HEAD + "- action: repeat\n  times: 2\n  body:\n    action: undo\n    name: x\n",
            6,
            r"actions\[0\].body: undone at 0 s, but no 'x'",
        ),
        (HEAD + "- action: inject\n  name: a\n  fault: kill\n", 5, "fault: not a fault: 'kill'"),
        (
            HEAD
            + "- action: swizzle\n  gap: 1\n  faults:\n    a: {kind: kill, target: a}\n    b: {kind: kil}\n",
            7,
            "faults.b: unknown fault 'kil'.*; known: .*kill",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_field(
    tmp_path: Path, text: str, line: int | None, named: str
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    where = f"{path}: line {line}: " if line is not None else f"{path}: "
    with pytest.raises(ScheduleError, match=f"^{where}{'' if named.startswith('actions') else '.*'}{named}"):
        Schedule.load(path)


def test_json_knows_its_lines_as_well(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{\n  "actions": [\n    {"action": "wait",\n     "duration": "soon"}\n  ]\n}\n')
    with pytest.raises(ScheduleError, match=r"plan.json: line 4: actions\[0\].duration: not a duration"):
        Schedule.load(path)
    path.write_text('{\n  "actions": [,]\n}')
    with pytest.raises(ScheduleError, match="line 2: not JSON"):
        Schedule.load(path)


def test_a_file_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.yaml, \.yml, \.json"):
        Schedule.load(tmp_path / "plan.toml")
    with pytest.raises(ScheduleError, match="cannot be read"):
        Schedule.load(tmp_path / "plan.yaml")


def test_a_file_cannot_make_objects(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("actions: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ScheduleError, match="line 1: not YAML: could not determine a constructor"):
        Schedule.load(path)


def test_the_documentation_shows_what_works(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")
    blocks = {kind: text.split(f"```{kind}\n")[1].partition("```")[0] for kind in ("python", "json", "yaml")}
    assert blocks["python"].count("\n") < 25
    shown: dict[str, Any] = {"__name__": "shown"}
    exec(blocks["python"], shown)  # a page of our own
    planned = [s["at_s"] for s in shown["BAD_DAY"].compile() if s.get("name") == "stuck"]
    assert json.loads(blocks["json"])["planned_s"] == planned[0]
    path = tmp_path / "plan.yaml"
    path.write_text(blocks["yaml"])
    assert len(Schedule.load(path).compile()) == 7
