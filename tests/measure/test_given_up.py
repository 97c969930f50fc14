"""Acknowledged writes that are given up knowingly, within the RPO, and before the fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blackstart.model.errors import ConfigError, EvidenceError
from blackstart.model.objectives import Objectives
from blackstart.model.verdict import Verdict
from tests.measure.histories import begin, end, ns, objectives
from tests.measure.test_judge import FAULT, ledger, one, verdict
from tests.measure.test_recovery import around

KNOWING: dict[str, Any] = {"gives_up": ["lost"]}
#: Id 1 is lost; it was invoked at 4 s, 1 s before the fault.
GONE = ledger(around(5, 6), [2], 1, 2)


def test_what_is_lost_is_a_defect_unless_it_is_given_up(tmp_path: Path) -> None:
    assert verdict(GONE, tmp_path, objectives(rpo="1s"), *FAULT) == "fail"
    assert verdict(GONE, tmp_path, objectives(rpo="1s", **KNOWING), *FAULT) == "pass"
    found = one(GONE, tmp_path, "checker", objectives(rpo="1s", **KNOWING), *FAULT)
    assert (found.measured, found.verdict) == ("1 lost, given up knowingly", Verdict.PASS)


def test_what_is_older_than_the_rpo_is_not_given_up(tmp_path: Path) -> None:
    assert verdict(GONE, tmp_path, objectives(rpo="999ms", **KNOWING), *FAULT) == "fail"


def test_without_a_bound_on_its_age_nothing_is_given_up(tmp_path: Path) -> None:
    assert verdict(GONE, tmp_path, objectives(**KNOWING), *FAULT) == "fail"
    with pytest.raises(ConfigError, match="only with a bound on rpo"):
        Objectives(gives_up=("lost",))


def test_what_was_acknowledged_after_the_fault_is_not_given_up(tmp_path: Path) -> None:
    events = (objectives(rpo="1s", **KNOWING), begin(3), end(6))
    assert verdict(GONE, tmp_path, *events) == "fail"
    found = one(GONE, tmp_path, "gives_up", *events)
    assert found.measured == "1 of 1 lost came after the fault had its effect"


def test_what_destroys_takes_until_its_bite(tmp_path: Path) -> None:
    bite = {"time": 4_500_000_000, "source": "injection", "event": "bite"}
    events = (objectives(rpo="1s", **KNOWING), begin(3), bite, end(6))
    assert verdict(GONE, tmp_path, *events) == "pass"


def bitten(at: float) -> dict[str, Any]:
    return {"time": ns(at), "source": "injection", "event": "bite"}


def test_what_is_lost_between_two_faults_is_not_given_up(tmp_path: Path) -> None:
    first, second = (begin(2), bitten(2.5), end(2.8)), (begin(5), bitten(5.5), end(6))
    found = one(GONE, tmp_path, "gives_up", objectives(rpo="1s", **KNOWING), *first, *second)
    assert found.verdict is Verdict.FAIL, "sent at 4 s, long after the first had its effect"


def test_a_bite_counts_only_for_the_first_fault(tmp_path: Path) -> None:
    asked = objectives(rpo="1s", **KNOWING)
    # Of a weakened stack, and of the second fault: neither says until when the first destroyed.
    other = (bitten(1), begin(3), begin(3.5, {"kind": "stop"}), bitten(4.5), end(6), end(6, {"kind": "stop"}))
    assert verdict(GONE, tmp_path, asked, *other) == "fail"
    own = (bitten(1), begin(3), bitten(4.5), begin(4.6, {"kind": "stop"}), end(6), end(6, {"kind": "stop"}))
    assert one(GONE, tmp_path, "gives_up", asked, *own).verdict is Verdict.PASS


def test_nothing_else_is_given_up(tmp_path: Path) -> None:
    twice = ledger(around(5, 6), [2, 2], 1, 2)
    assert verdict(twice, tmp_path, objectives(rpo="1s", **KNOWING), *FAULT) == "fail"
    with pytest.raises(ConfigError, match=r"only \['lost'\] can be"):
        Objectives(rpo="1s", gives_up=("lost", "duplicate"))
    with pytest.raises(EvidenceError, match=r"only \['lost'\] can be given up"):
        verdict(GONE, tmp_path, objectives(rpo="1s", gives_up=["duplicate"]), *FAULT)
