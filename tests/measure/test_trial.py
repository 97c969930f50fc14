"""What a trial must show besides its objectives, and when a control is caught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blackstart.measure.judge import Finding
from blackstart.measure.run import evaluate
from blackstart.measure.trial import control_verdict
from blackstart.model.verdict import Verdict
from tests.measure.histories import Script, begin, end, gate, objectives
from tests.measure.test_judge import told
from tests.measure.test_recovery import around

FAULT = [begin(5), end(6)]
FAIL, PASS, UNKNOWN = Verdict.FAIL, Verdict.PASS, Verdict.UNKNOWN


def found(script: Script, folder: Path, role: str, *events: dict[str, Any]) -> dict[str, Verdict]:
    """Verdicts by objective of a trial that asks for an RTO of 10 s."""
    script.save(folder, [told("trial", 0, role=role), objectives(rto="10s"), *events])
    return {f.objective: f.verdict for f in evaluate(folder).findings}


def test_a_trial_without_a_fault_is_unknown(tmp_path: Path) -> None:
    assert found(around(5, 6), tmp_path, "drill")["injection"] is UNKNOWN
    assert evaluate(tmp_path).verdict is UNKNOWN


def test_a_good_trial_passes_with_its_grounds_shown(tmp_path: Path) -> None:
    seen = found(around(5, 6), tmp_path, "drill", *FAULT)
    assert seen["load"] is seen["baseline"] is PASS
    assert evaluate(tmp_path).verdict is PASS


def test_clients_that_were_ill_just_before_the_fault_leave_it_unknown(tmp_path: Path) -> None:
    assert found(around(4, 4.8), tmp_path, "drill", *FAULT)["baseline"] is UNKNOWN


def test_a_load_that_ends_before_the_fault_leaves_it_unknown(tmp_path: Path) -> None:
    assert found(around(5, 6), tmp_path, "drill", begin(5), end(60))["load"] is UNKNOWN


def test_a_placebo_with_an_outage_fails(tmp_path: Path) -> None:
    assert found(around(5, 6), tmp_path, "placebo")["outages"] is FAIL
    assert found(around(5, 5), tmp_path, "placebo")["outages"] is PASS


@pytest.mark.parametrize("verdict", ["fail", "unknown"])
def test_what_the_drill_saw_itself_counts(tmp_path: Path, verdict: str) -> None:
    saw = told("finding", objective="observe", bound="promoted", measured="nobody", verdict=verdict)
    assert found(around(5, 6), tmp_path, "drill", *FAULT, saw)["observe"].value == verdict
    assert evaluate(tmp_path).verdict.value == verdict


def test_a_fault_that_its_own_time_limit_undid_proves_no_recovery(tmp_path: Path) -> None:
    expired = {"time": 6_000_000_000, "source": "injection", "event": "expired", "limit": "1s"}
    assert found(around(5, 6), tmp_path, "drill", *FAULT, expired)["fault in force"] is UNKNOWN


def test_a_fault_whose_effect_was_gone_before_its_undo_proves_nothing(tmp_path: Path) -> None:
    lost = {"time": 5_500_000_000, "source": "injection", "event": "lost", "fault": {"kind": "cpu_hog"}}
    assert found(around(5, 6), tmp_path, "drill", FAULT[0], lost, FAULT[1])["fault in force"] is UNKNOWN


def test_an_alert_that_nobody_watches_for_is_unknown(tmp_path: Path) -> None:
    around(5, 6).save(tmp_path, [told("trial", 0, role="drill", expects_alert="PrimaryDown"), *FAULT])
    assert {f.objective: f.verdict for f in evaluate(tmp_path).findings}["alert"] is UNKNOWN


@pytest.mark.parametrize(("tripped", "wanted"), [(False, Verdict.FAIL), (True, Verdict.UNKNOWN)])
def test_what_did_not_come_about_in_time_is_void_once_a_gate_tripped(
    tmp_path: Path, tripped: bool, wanted: Verdict
) -> None:
    late = {
        "time": 6_500_000_000,
        "source": "drill",
        "event": "finding",
        "objective": "observe",
        "verdict": "fail",
    }
    gates = [gate(6)] if tripped else []
    assert found(around(5, 6), tmp_path, "drill", *FAULT, *gates, late)["observe"] is wanted
    assert found(around(5, 6), tmp_path, "placebo", *gates)["outages"] is wanted


def test_a_placebo_without_load_shows_nothing(tmp_path: Path) -> None:
    assert found(Script(), tmp_path, "placebo", objectives(keys_lost=0))["load"] is Verdict.UNKNOWN


def test_a_control_whose_premise_did_not_come_about_is_not_caught() -> None:
    findings = [
        Finding("lost", 0, "3", Verdict.FAIL),
        Finding("premise", "no failover", "did not come about", Verdict.UNKNOWN),
    ]
    assert control_verdict(findings, "lost") is Verdict.UNKNOWN


def test_a_history_that_names_no_trial_is_judged_as_it_is(tmp_path: Path) -> None:
    around(5, 5).save(tmp_path, [objectives(rto="10s")])
    assert [f.objective for f in evaluate(tmp_path).findings] == ["rto", "checker", "gates"]


@pytest.mark.parametrize(
    ("verdicts", "wanted"),
    [
        ({"lost": FAIL, "rto": PASS}, PASS),
        ({"lost": PASS, "rto": FAIL}, FAIL),
        ({"lost": UNKNOWN, "rto": FAIL}, UNKNOWN),
        ({"rto": FAIL}, UNKNOWN),
        ({"lost": FAIL, "injection": UNKNOWN}, UNKNOWN),
        ({"lost": FAIL, "bite": UNKNOWN}, UNKNOWN),
        ({"lost": FAIL, "baseline": UNKNOWN}, UNKNOWN),
        ({"lost": FAIL, "gates": UNKNOWN}, PASS),
    ],
)
def test_a_control_is_caught_by_its_named_objective_on_good_grounds_only(
    verdicts: dict[str, Verdict], wanted: Verdict
) -> None:
    findings = [Finding(name, None, "", verdict) for name, verdict in verdicts.items()]
    assert control_verdict(findings, "lost") is wanted


def step(name: str, *, exit: int = 0, at: float = 6.1) -> list[dict[str, Any]]:
    """The events of a runbook's step that took a tenth of a second."""
    named = {"source": "runbook", "runbook": "rows-deleted", "step": name, "phase": None}
    times = (round(at * 1e9), round((at + 0.1) * 1e9))
    return [
        {"time": times[0], "event": "begin", **named},
        {"time": times[1], "event": "end", "exit": exit, **named},
    ]


@pytest.mark.parametrize(
    ("at", "wrong", "wanted"),
    [
        ("archive", "archive", PASS),
        ("archive", "find", UNKNOWN),
        ("archive", "", UNKNOWN),
        ("", "find", UNKNOWN),
        ("", "", PASS),
    ],
)
def test_a_control_goes_wrong_where_it_says(tmp_path: Path, at: str, wrong: str, wanted: Verdict) -> None:
    steps = [*step("find", exit=wrong == "find"), *step("archive", exit=wrong == "archive", at=6.3)]
    around(5, 6).save(tmp_path, [told("trial", 0, role="control", at=at), objectives(lost=0), *FAULT, *steps])
    seen = {f.objective: f.verdict for f in evaluate(tmp_path).findings}
    assert seen["weakness"] is wanted


def test_a_control_whose_step_was_never_followed_shows_no_weakness(tmp_path: Path) -> None:
    around(5, 6).save(tmp_path, [told("trial", 0, role="control", at="archive"), objectives(lost=0), *FAULT])
    seen = {f.objective: f.verdict for f in evaluate(tmp_path).findings}
    assert seen["weakness"] is UNKNOWN


def test_a_control_that_failed_at_another_step_is_not_caught() -> None:
    findings = [Finding("lost", 0, "3", FAIL), Finding("weakness", "archive", "find failed", UNKNOWN)]
    assert control_verdict(findings, "lost") is UNKNOWN
