"""The run as a Chaos Toolkit journal."""

from __future__ import annotations

from typing import Any

import pytest

from blackstart.report.journal import journal

FAULT = {"kind": "kill", "target": "postgres.primary", "process": "postgres", "max_duration": "120s"}


def run(verdict: str = "pass", **more: Any) -> dict[str, Any]:
    return {
        "experiment": {"name": "postgres.primary_crash", "hypothesis": "writes resume"},
        "role": "drill",
        "started": "2026-01-15T09:30:00+00:00",
        "duration_s": 30.0,
        "verdict": verdict,
        "findings": [
            {"objective": "baseline", "verdict": "pass"},
            {"objective": "rto", "verdict": "fail" if verdict == "fail" else "pass"},
        ],
        "faults": [{"fault": FAULT, "begin_s": 5.0, "end_s": 12.5, "bite": "3 processes gone"}],
        **more,
    }


@pytest.mark.parametrize(
    ("verdict", "status", "deviated"),
    [("pass", "completed", False), ("fail", "completed", True), ("unknown", "failed", False)],
)
def test_status_and_deviation_follow_the_verdict(verdict: str, status: str, deviated: bool) -> None:
    told = journal(run(verdict))
    assert (told["status"], told["deviated"]) == (status, deviated)
    assert told["steady_states"]["before"]["steady_state_met"] is True
    assert told["steady_states"]["after"]["steady_state_met"] is (verdict != "fail")


def test_each_fault_is_an_activity_with_its_times_and_its_rollback() -> None:
    told = journal(run())
    [step], [undo] = told["run"], told["rollbacks"]
    assert step["activity"]["provider"]["func"] == "kill"
    assert step["activity"]["provider"]["arguments"]["target"] == "postgres.primary"
    assert (step["status"], step["start"], step["end"]) == (
        "succeeded",
        "2026-01-15T09:30:05",
        "2026-01-15T09:30:12.500000",
    )
    assert undo["activity"]["name"] == "undo kill postgres.primary"
    assert told["end"] == "2026-01-15T09:30:30"


def test_a_fault_that_was_not_undone_is_a_failed_rollback() -> None:
    told = journal(run(faults=[{"fault": FAULT, "begin_s": 5.0, "end_s": None, "bite": "gone"}]))
    assert [r["status"] for r in told["rollbacks"]] == ["failed"]
