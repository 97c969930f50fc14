"""A run's schedule can be had again from its `run.json`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from blackstart.faults import kill
from blackstart.model.errors import ConfigError, EvidenceError
from blackstart.schedule import Schedule, from_run, read_run
from tests.schedule.plans import ALL


def played(schedule: Schedule) -> dict[str, Any]:
    """A run that played `schedule`, each step a little late, with the waits that were held in between."""
    entries: list[dict[str, Any]] = [
        {"action": "wait", "seconds": 0.7},
        {"action": "play", "seed": schedule.seed, "duration_s": schedule.duration_s, "at_s": 2.5},
    ]
    for step in schedule.compile():
        planned_s = step.pop("at_s")
        entries.append({"action": "wait", "seconds": 0.1})
        times = {"planned_s": planned_s, "actual_s": planned_s + 0.004, "late_s": 0.004}
        entries.append({**step, **times})
    entries.append({"action": "observe", "until": "all is well", "seconds": 2.0})
    return {"seed": 3, "schedule": entries, "faults": []}


def test_what_was_played_is_had_again_as_planned_with_its_seed() -> None:
    again = from_run(json.loads(json.dumps(played(ALL))))
    assert again.compile() == ALL.compile()
    assert again.seed == ALL.seed


def test_what_was_injected_by_hand_is_had_again_as_it_happened() -> None:
    dead, again = kill("app-1").to_dict(), kill("app-2").to_dict()
    run = {
        "seed": 3,
        "schedule": [{"action": "inject", "fault": dead}],
        "faults": [
            {"source": "variant", "fault": dead, "begin_s": 1.0, "end_s": 9.0},
            {"source": "fault", "fault": again, "begin_s": 3.5, "end_s": None},
            {"source": "fault", "fault": dead, "begin_s": 2.25, "end_s": 4.0004},
        ],
    }
    assert [(s["at_s"], s["action"], s.get("name")) for s in from_run(run).compile()] == [
        (0.0, "inject", "kill-1"),
        (1.25, "inject", "kill-2"),
        (1.75, "undo", "kill-1"),
        (1.75, "end", None),
    ]
    mixed = {**run, "schedule": played(ALL)["schedule"] + run["schedule"]}
    assert len(from_run(mixed).compile()) == 4, "one beside the play: the faults tell what happened"


def test_a_fault_that_expired_is_undone_at_its_maximum_duration() -> None:
    short = kill("app-1", max_duration="3s").to_dict()
    for begin_s in (1.0, 1.0005, 1.2345):
        record = {"source": "fault", "fault": short, "begin_s": begin_s, "end_s": begin_s + 3.4}
        compiled = from_run({"seed": 3, "schedule": [], "faults": [record]}).compile()
        assert [(s["at_s"], s["action"]) for s in compiled[:2]] == [(0.0, "inject"), (2.999, "undo")]


def test_a_placebo_has_nothing_to_do_again() -> None:
    empty = {"seed": 3, "schedule": [{"action": "play", "seed": 1, "duration_s": 1.0}], "faults": []}
    with pytest.raises(ConfigError, match="nothing was injected"):
        from_run(empty)


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blackstart", "schedule", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("suffix", "options"), [("yaml", ()), ("json", ("--json",))])
def test_the_command_writes_a_file_that_plays_the_same(
    tmp_path: Path, suffix: str, options: tuple[str, ...]
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(played(ALL)))
    path = tmp_path / f"again.{suffix}"
    path.write_text(_command(str(tmp_path), *options).stdout)
    assert Schedule.load(path).compile() == ALL.compile()


def test_the_command_says_what_is_wrong_and_exits_3(tmp_path: Path) -> None:
    done = _command(str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "run.json: No such file" in done.stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "No such file"),
        ("{", "not a run"),
        ("{}", "not a run: KeyError"),
        ('{"seed": 1, "schedule": [], "faults": []}', "nothing was injected"),
    ],
)
def test_a_folder_without_such_a_run_is_refused(tmp_path: Path, text: str | None, named: str) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(EvidenceError, match=f"run.json: {named}"):
        read_run(tmp_path)
