"""What a hint is worth, and how long a job waits: the rules of the leases, without a database."""

from __future__ import annotations

from typing import Any

import pytest

from sut.app.service.leases import Verdict, backoff, judge


def row(**more: Any) -> dict[str, Any]:
    """A job that has just been accepted and published."""
    return {"status": "queued", "held": None, "resting": False, "deliveries": 0} | more


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (None, Verdict.DROP),
        (row(), Verdict.TAKE),
        (row(resting=True), Verdict.DROP),
        (row(status="running", held=True, deliveries=1), Verdict.HELD),
        (row(status="running", held=False, deliveries=1), Verdict.TAKE),
        (row(status="running", held=True, deliveries=5), Verdict.HELD),
        (row(status="running", held=False, deliveries=5), Verdict.BURY),
        (row(deliveries=4), Verdict.TAKE),
        (row(deliveries=5), Verdict.BURY),
        (row(status="waiting"), Verdict.DROP),
        (row(status="done"), Verdict.DROP),
        (row(status="failed"), Verdict.DROP),
        (row(status="dead", deliveries=5), Verdict.DROP),
    ],
)
def test_a_hint_is_worth_what_its_job_says(found: dict[str, Any] | None, verdict: Verdict) -> None:
    assert judge(found, most=5, reclaim=True) is verdict


def test_without_reclaim_an_ended_lease_is_left_alone() -> None:
    assert judge(row(status="running", held=False), most=5, reclaim=False) is Verdict.HELD
    assert judge(row(), most=5, reclaim=False) is Verdict.TAKE


def test_a_job_waits_longer_each_time_up_to_a_limit() -> None:
    waits = [backoff(epoch) for epoch in range(1, 40)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.5, 8.0)
