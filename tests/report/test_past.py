"""What earlier runs left, and the last of each kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blackstart.model.verdict import Verdict
from blackstart.report.past import last, past_runs


def leave(reports: Path, where: str, day: int, **told: Any) -> None:
    folder = reports / where
    folder.mkdir(parents=True)
    run = {
        "run_id": where.partition("/")[0],
        "experiment": {"name": "e"},
        "verdict": "pass",
        "started": f"2026-11-{day:02}T10:00:00+00:00",
        "duration_s": 30.5,
        "timings": {"prepare_s": 0.5},
        "stack": {"name": "s", "start_s": 20},
        **told,
    }
    (folder / "run.json").write_text(json.dumps(run))


def test_runs_are_read_in_order_of_their_start(tmp_path: Path) -> None:
    leave(tmp_path, "b/e/trial-1", 3, verdict="fail")
    leave(tmp_path, "a/e/trial-1", 5)
    leave(
        tmp_path, "c/e/control-v", 4, role="control", control={"variant": "v"}, verdict="fail", proof="pass"
    )
    runs = past_runs(tmp_path, "s")
    assert [run.run_id for run in runs] == ["b", "c", "a"]
    found = last(runs, "e", "drill")
    assert found is not None
    assert (found.run_id, found.verdict, found.took_s, found.start_s) == ("a", Verdict.PASS, 31.0, 20.0)
    control = last(runs, "e", "control", "v")
    assert control is not None and control.proof is Verdict.PASS
    assert last(runs, "e", "control", "another") is None
    assert last(runs, "another", "drill") is None


def test_a_weakened_stacks_faults_are_not_the_experiments(tmp_path: Path) -> None:
    faults = [{"source": s, "fault": {"kind": s}} for s in ("variant", "fault")]
    leave(tmp_path, "a/e/trial-1", 1, faults=faults)
    assert past_runs(tmp_path, "s")[0].faults == ({"kind": "fault"},)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("example", {}),
        ("a/e/trial-1", {"superseded": True}),
        ("a/e/trial-1", {"stack": {"name": "another"}}),
        ("a/e/trial-1", {"started": "yesterday"}),
        ("a/e/trial-1", {"verdict": "maybe"}),
    ],
)
def test_what_is_no_run_of_this_stack_is_left_out(tmp_path: Path, where: str, told: dict[str, Any]) -> None:
    leave(tmp_path, where, 1, **told)
    assert past_runs(tmp_path, "s") == []


def test_links_and_torn_files_are_passed_over(tmp_path: Path) -> None:
    leave(tmp_path, "a/e/trial-1", 1)
    (tmp_path / "latest").symlink_to("a")
    (tmp_path / "b/e/trial-1").mkdir(parents=True)
    (tmp_path / "b/e/trial-1/run.json").write_text('{"run_id": ')
    assert len(past_runs(tmp_path, "s")) == 1
    assert past_runs(tmp_path / "nowhere", "s") == []
