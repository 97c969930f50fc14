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


def test_of_many_calls_at_once_one_alone_probes_until_it_is_over() -> None:
    clock = Clock()
    breaker, _ = make(clock)
    for _ in range(3):
        fail(breaker)
    clock.now = 2.0
    probing, most = 0, 0

    async def call() -> None:
        nonlocal probing, most
        with contextlib.suppress(BreakerOpen, OSError), breaker.guard():
            probing += 1
            most = max(most, probing)
            await asyncio.sleep(0)
            probing -= 1
            raise OSError

    async def go() -> None:
        await asyncio.gather(*(call() for _ in range(20)))
        clock.now = 4.0
        await asyncio.gather(*(call() for _ in range(20)))

    asyncio.run(go())
    assert most == 1
    assert now(breaker) is State.OPEN


def test_what_is_not_blamed_neither_opens_nor_closes_it() -> None:
    clock = Clock()
    breaker = Breaker("x", failures=1, clock=clock, blame=lambda error: not isinstance(error, ValueError))
    with contextlib.suppress(ValueError), breaker.guard():
        raise ValueError
    assert now(breaker) is State.CLOSED
    fail(breaker)
    clock.now = 2.0
    with contextlib.suppress(ValueError), breaker.guard():
        raise ValueError
    assert now(breaker) is State.HALF_OPEN
    with breaker.guard():
        pass
    assert now(breaker) is State.CLOSED


def test_a_dependency_that_asks_for_time_gets_it_even_when_it_is_already_open() -> None:
    clock = Clock()
    breaker, seen = make(clock)
    breaker.hold(20)
    assert breaker.wait_s == 20
    breaker.hold(5)
    clock.now = 19.9
    assert now(breaker) is State.OPEN
    clock.now = 20
    assert now(breaker) is State.HALF_OPEN
    fail(breaker)
    breaker.hold(7)
    clock.now = 26.9
    assert now(breaker) is State.OPEN
    clock.now = 27
    assert now(breaker) is State.HALF_OPEN
    assert breaker.wait_s == 0
    assert seen == [State.OPEN, State.HALF_OPEN, State.OPEN, State.HALF_OPEN]


def test_one_that_nobody_asks_forgets() -> None:
    clock = Clock()
    breaker, _ = make(clock)
    for _ in range(3):
        fail(breaker)
    clock.now = 11.9
    assert now(breaker) is State.HALF_OPEN
    with breaker.guard():
        clock.now = 12.1
        assert now(breaker) is State.HALF_OPEN, "a probe is under way"
    breaker.hold(1)
    clock.now = 23.1
    assert now(breaker) is State.CLOSED


def test_without_a_limit_it_never_opens() -> None:
    breaker = Breaker("x", failures=None, clock=Clock())
    for _ in range(1000):
        fail(breaker)
    breaker.hold(60)
    assert now(breaker) is State.CLOSED
