"""The alarm that starts operations: in time, set anew, silenced."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from blackstart.load.alarm import Alarm, KernelAlarm, LoopAlarm, alarm

MS = 1_000_000
ALARMS = [LoopAlarm, *([KernelAlarm] if sys.platform == "linux" else [])]


def rings(make: Callable[..., Alarm], use: Callable[[Alarm, int], Any], until_ms: int = 60) -> list[float]:
    """ms after the start at which it rang, within `until_ms`."""
    heard: list[float] = []

    async def main() -> None:
        loop, start = asyncio.get_running_loop(), time.monotonic_ns()
        bell = make(loop, lambda: heard.append((time.monotonic_ns() - start) / MS), time.monotonic_ns)
        use(bell, start)
        await asyncio.sleep(until_ms / 1000)  # that it does not ring is what is to be seen
        bell.close()
        bell.close()

    asyncio.run(main())
    return heard


@pytest.mark.parametrize("make", ALARMS)
def test_it_rings_once_and_not_too_soon(make: Callable[..., Alarm]) -> None:
    [at] = rings(make, lambda bell, start: bell.set(start + 20 * MS + 300_000))
    assert at >= 20.3


@pytest.mark.parametrize("make", ALARMS)
def test_a_time_that_is_past_rings_at_once(make: Callable[..., Alarm]) -> None:
    assert len(rings(make, lambda bell, start: bell.set(start - 5 * MS))) == 1


@pytest.mark.parametrize("make", ALARMS)
def test_only_the_time_set_last_rings(make: Callable[..., Alarm]) -> None:
    def use(bell: Alarm, start: int) -> None:
        bell.set(start + 5 * MS)
        bell.set(start + 30 * MS)

    [at] = rings(make, use)
    assert at >= 30


@pytest.mark.parametrize("make", ALARMS)
def test_a_cancelled_one_is_silent_and_can_be_set_again(make: Callable[..., Alarm]) -> None:
    def use(bell: Alarm, start: int) -> None:
        bell.set(start + 5 * MS)
        bell.cancel()

    assert rings(make, use) == []

    def again(bell: Alarm, start: int) -> None:
        use(bell, start)
        bell.set(start + 10 * MS)

    assert len(rings(make, again)) == 1


def test_it_is_the_kernels_on_linux() -> None:
    made: list[Alarm] = []

    def make(*arguments: Any) -> Alarm:
        made.append(alarm(*arguments))
        return made[-1]

    rings(make, lambda bell, start: bell.set(start), until_ms=5)
    assert isinstance(made[0], KernelAlarm if sys.platform == "linux" else LoopAlarm)
