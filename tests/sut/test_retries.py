"""Retry budgets and what Retry-After means, with a clock that the test moves."""

from __future__ import annotations

import httpx
import pytest

from sut.app.service.retries import LONGEST_S, RetryBudget, retry_after

from .test_breaker import Clock


def test_retries_are_a_share_of_the_calls_of_the_window() -> None:
    clock = Clock()
    budget = RetryBudget(0.2, reserve=0, window_s=10, clock=clock)
    granted = 0
    for _ in range(100):
        budget.called()
        granted += budget.retry()
    assert granted == 20
    clock.now = 9.9
    assert not budget.retry()
    clock.now = 10
    assert not budget.retry(), "the calls are forgotten as well"
    for _ in range(5):
        budget.called()
    assert [budget.retry(), budget.retry()] == [True, False]


def test_a_quiet_service_may_retry_a_little() -> None:
    clock = Clock()
    budget = RetryBudget(0.1, reserve=1, window_s=10, clock=clock)
    budget.called()
    assert [budget.retry(), budget.retry()] == [True, False]
    clock.now = 10
    assert budget.retry()


def test_without_a_ratio_there_is_no_end_of_retries() -> None:
    budget = RetryBudget(None)
    assert all(budget.retry() for _ in range(1000))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry-After": "20"}, 20),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "86400"}, LONGEST_S),
        # By the provider's own clock, wherever ours stands.
        (
            {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"},
            30,
        ),
        ({"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2015 07:00:00 GMT"}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(httpx.Headers(headers)) == seconds
