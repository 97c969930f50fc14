"""Jobs as their clients see them: the rules, without a database."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from sut.app.service.errors import Refusal
from sut.app.service.jobs import KINDS, Decision, decided, listing
from sut.app.service.jobs_api import JobRequest
from sut.load import SETTLE_S


def row(id: str, status: str = "done", stored: bool = True) -> dict[str, Any]:
    """A line of the session's list."""
    return {"id": id, "status": status, "stored": stored}


def test_what_is_done_is_listed_in_order() -> None:
    found = listing([row("k1"), row("k2"), row("k3", "dead", False)], settle=0, quiet=0)
    assert found["ids"] == ["k1", "k2"]
    assert found["jobs"][2] == {"id": "k3", "status": "dead"}


def test_a_result_stored_twice_is_listed_twice_and_its_job_once() -> None:
    found = listing([row("k1"), row("k1")], settle=0, quiet=0)
    assert found["ids"] == ["k1", "k1"]
    assert len(found["jobs"]) == 1


def test_the_last_jobs_are_listed_and_that_there_are_more() -> None:
    rows = [row("k1"), row("k2"), row("k2"), row("k3", "dead", False)]
    found = listing(rows, settle=0, quiet=0, limit=2)
    assert (found["ids"], [job["id"] for job in found["jobs"]]) == (["k2", "k2"], ["k2", "k3"])
    assert found["more"]
    assert not listing(rows, settle=0, quiet=0, limit=3)["more"]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_job_under_way_is_waited_for_until_the_user_has_been_quiet_for_long(status: str) -> None:
    rows = [row("k1"), row("k2", status, False)]
    with pytest.raises(Refusal) as caught:
        listing(rows, settle=15, quiet=14.9)
    assert caught.value.status == 409
    assert listing(rows, settle=15, quiet=15)["ids"] == ["k1"]
    assert listing(rows, settle=0, quiet=0)["ids"] == ["k1"]


@pytest.mark.parametrize("status", ["done", "failed", "dead", "waiting"])
def test_a_settled_job_is_not_waited_for(status: str) -> None:
    assert listing([row("k1", status, False)], settle=15, quiet=0)["ids"] == []


def test_the_closing_reads_wait_for_less_than_they_have() -> None:
    # The client's limit is 30 s; a repeated hint takes 5 s, a lost lease 5 s, a backoff 8 s at most.
    assert 8 + 5 < SETTLE_S < 30 - 5


def asked(**more: Any) -> dict[str, Any]:
    """A job that waits for a decision."""
    return {"status": "waiting", "decision": None, "decision_key": None} | more


YES = Decision(True, "fine")


def test_a_waiting_job_can_be_decided_once() -> None:
    assert not decided(asked(), "d1", YES)
    for status in ("queued", "running", "done"):
        assert decided(asked(status=status, decision=YES.dump(), decision_key="d1"), "d1", YES)


@pytest.mark.parametrize(
    ("row", "key", "status"),
    [
        (None, "d1", 404),
        (asked(status="queued", decision=YES.dump(), decision_key="d1"), "d2", 409),
        (asked(status="running"), "d1", 409),
        (asked(status="done", decision=Decision(False).dump(), decision_key="d1"), "d1", 422),
    ],
)
def test_another_decision_is_refused(row: dict[str, Any] | None, key: str, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        decided(row, key, YES)
    assert caught.value.status == status


def test_the_interface_offers_every_kind() -> None:
    assert get_args(JobRequest.model_fields["kind"].annotation) == KINDS
