"""How much a container is denied the processor, by the kernel's count of both cgroup versions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from sut.app.service.database import Pool
from sut.app.service.readiness import Readiness
from sut.app.service.throttling import Throttling

from .fakes import NoEmbedder


class Kernel:
    """Counts as many throttled periods as it is told, and the seconds that are gone."""

    def __init__(self, at: Path) -> None:
        self.path, self.now, self.throttled = at, 100.0, 7
        self._write()

    def _write(self) -> None:
        self.path.write_text(f"nr_periods 900\nnr_throttled {self.throttled}\nthrottled_time 5\n")

    def go_on(self, seconds: float, throttled: int) -> None:
        self.now += seconds
        self.throttled += throttled
        self._write()


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path / "cpu.stat")


@pytest.fixture
def throttling(kernel: Kernel) -> Throttling:
    return Throttling([kernel.path.with_name("none"), kernel.path], clock=lambda: kernel.now)


def test_what_was_throttled_before_counts_for_nothing(throttling: Throttling) -> None:
    assert throttling.share() == 0.0


def test_every_period_throttled_is_all_of_the_time(kernel: Kernel, throttling: Throttling) -> None:
    for _ in range(8):
        throttling.share()
        kernel.go_on(1.0, 10)
    assert throttling.share() == pytest.approx(1.0)


def test_the_window_forgets(kernel: Kernel, throttling: Throttling) -> None:
    for throttled in (10, 10, 10, 0, 0, 0, 0, 0):
        throttling.share()
        kernel.go_on(1.0, throttled)
    assert throttling.share() == 0.0


def test_two_seconds_are_needed(kernel: Kernel, throttling: Throttling) -> None:
    throttling.share()
    kernel.go_on(1.9, 19)
    assert throttling.share() == 0.0
    kernel.go_on(0.1, 1)
    assert throttling.share() == pytest.approx(1.0)


def test_a_kernel_that_says_nothing_throttles_nobody(tmp_path: Path) -> None:
    assert Throttling([tmp_path / "none"]).share() == 0.0


class Untouched:
    """No connection is to be taken from it."""

    def connection(self, timeout: float) -> None:
        raise AssertionError("asked the database")


def test_a_starved_replica_says_why_it_is_not_ready() -> None:
    readiness = Readiness(cast(Pool, Untouched()), NoEmbedder(), throttled=lambda: 0.87)
    assert asyncio.run(readiness._look()) == "processor: throttled by its own limit"


def test_who_was_starved_is_tried_again_after_half_a_minute() -> None:
    now, share = 100.0, 0.87
    readiness = Readiness(cast(Pool, Untouched()), NoEmbedder(), throttled=lambda: share, clock=lambda: now)
    assert asyncio.run(readiness._look()) is not None
    share, now = 0.0, 129.9
    assert asyncio.run(readiness._look()) is not None
    now = 130.0
    with pytest.raises(AssertionError, match="asked the database"):
        asyncio.run(readiness._look())


def test_who_is_throttled_half_of_the_time_stays() -> None:
    readiness = Readiness(cast(Pool, Untouched()), NoEmbedder(), throttled=lambda: 0.5)
    with pytest.raises(AssertionError, match="asked the database"):
        asyncio.run(readiness._look())
