"""The breaker's timing, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from sut.app.service.breaker import Breaker, BreakerOpen, State


class Clock:
    """Seconds, moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(clock: Clock) -> tuple[Breaker, list[State]]:
    seen: list[State] = []
    return Breaker(
        "x", failures=3, open_s=2.0, clock=clock, on_change=lambda _, state: seen.append(state)
    ), seen


def now(breaker: Breaker) -> State:
    """The state asked for anew: a property that changes by time alone confuses a type checker."""
    return breaker.state


def fail(breaker: Breaker) -> None:
    with contextlib.suppress(OSError), breaker.guard():
        raise OSError


def test_opens_after_failures_in_a_row_and_then_refuses() -> None:
    breaker, seen = make(Clock())
    fail(breaker)
    fail(breaker)
    with breaker.guard():
        pass
    fail(breaker)
    fail(breaker)
    assert now(breaker) is State.CLOSED
    fail(breaker)
    assert now(breaker) is State.OPEN
    with pytest.raises(BreakerOpen), breaker.guard():
        pytest.fail("called while open")
    assert seen == [State.OPEN]


def test_half_open_lets_one_probe_through_at_a_time() -> None:
    clock = Clock()
    breaker, seen = make(clock)
    for _ in range(3):
        fail(breaker)
    clock.now = 1.99
    assert now(breaker) is State.OPEN
    clock.now = 2.0
    assert now(breaker) is State.HALF_OPEN
    with breaker.guard(), pytest.raises(BreakerOpen), breaker.guard():
        pytest.fail("a second probe")
    assert now(breaker) is State.CLOSED
    assert seen == [State.OPEN, State.HALF_OPEN, State.CLOSED]


def test_without_that_protection_half_open_lets_all_through() -> None:
    clock = Clock()
    breaker = Breaker("test", failures=1, open_s=2.0, one_probe=False, clock=clock)
    fail(breaker)
    clock.now = 2.0
    with breaker.guard(), breaker.guard():
        assert now(breaker) is State.HALF_OPEN


def test_a_failed_probe_opens_it_for_the_whole_time_again() -> None:
    clock = Clock()
    breaker, _ = make(clock)
    for _ in range(3):
        fail(breaker)
    clock.now = 2.5
    fail(breaker)
    clock.now = 4.4
    assert now(breaker) is State.OPEN
    clock.now = 4.5
    assert now(breaker) is State.HALF_OPEN


def test_a_cancelled_probe_frees_its_place_and_decides_nothing() -> None:
    clock = Clock()
    breaker, _ = make(clock)
    for _ in range(3):
        fail(breaker)
    clock.now = 2.0
    with contextlib.suppress(asyncio.CancelledError), breaker.guard():
        raise asyncio.CancelledError
    assert now(breaker) is State.HALF_OPEN
    with breaker.guard():
        pass
    assert now(breaker) is State.CLOSED


def test_a_late_result_of_a_call_begun_before_it_opened_counts_for_nothing() -> None:
    clock = Clock()
    breaker, _ = make(clock)
    with breaker.guard():
        for _ in range(3):
            fail(breaker)
    assert now(breaker) is State.OPEN
