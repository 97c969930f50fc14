"""Clocks set wrong on real containers: the service's wall clock, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from blackstart.faults import Fault, clock_drift, clock_offset
from blackstart.faults._clock import signed
from blackstart.model.durations import Duration
from blackstart.model.errors import ConfigError, InjectionError
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.force import ends_in_place, in_force


@pytest.fixture
def mended(small: RunningStack) -> Iterator[RunningStack]:
    """The small stack; as new again afterwards."""
    yield small
    reset(small, "30s")


def off(running: RunningStack, instance: str) -> tuple[float, float]:
    """Seconds that the wall clock and the monotonic clock of a running service are ahead of ours."""
    answer = requests.get(running.url(instance, "http", "/time"), timeout=5).json()
    return answer["wall"] - time.time(), answer["monotonic"] - time.monotonic()


@pytest.mark.parametrize(
    ("value", "wanted"), [("1h", 3600), ("-90s", -90), ("+500ms", 0.5), (-2, -2), (0.5, 0.5)]
)
def test_an_offset_has_a_sign(value: Duration, wanted: float) -> None:
    assert signed(value) == wanted


@pytest.mark.parametrize("value", ["--1s", "soon", 0, "0s", "90000h", "-200000h"])
def test_what_is_no_offset_is_refused(value: Duration) -> None:
    with pytest.raises(ConfigError, match=r"not a duration|valid are"):
        clock_offset("web-1", by=value)


@pytest.mark.parametrize("rate", [0, 11, -11])
def test_what_is_no_drift_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="up to 10 either way, and not 0"):
        clock_drift("web-1", rate=rate)


@pytest.mark.integration
@pytest.mark.parametrize("by", ["1h", "-90s"])
def test_a_running_service_has_another_wall_clock_and_the_same_monotonic_one(
    mended: RunningStack, by: str
) -> None:
    _, monotonic = off(mended, "web-1")
    with in_force(clock_offset("web-1", by=by), mended) as bite:
        assert f"{signed(by):+.1f} s off" in bite
        wall, now = off(mended, "web-1")
        assert wall == pytest.approx(signed(by), abs=0.5)
        assert now == pytest.approx(monotonic, abs=0.5)
        assert off(mended, "web-2")[0] == pytest.approx(0, abs=0.5), "the other replica's is right"
        with pytest.raises(InjectionError, match="already"):
            clock_offset("web-1").plan(mended)
    assert off(mended, "web-1")[0] == pytest.approx(0, abs=0.5)


@pytest.mark.integration
@pytest.mark.parametrize("rate", [0.5, -0.25])
def test_a_drift_grows_as_fast_as_asked(mended: RunningStack, rate: float) -> None:
    with in_force(clock_drift("web-1", rate=rate), mended):
        began, (first, _) = time.monotonic(), off(mended, "web-1")

        def drifted() -> str | None:
            wanted = (time.monotonic() - began) * rate
            seen = off(mended, "web-1")[0] - first
            return None if abs(wanted) >= 1 and abs(seen - wanted) < 0.3 else f"{seen:.2f} s of {wanted:.2f}"

        wait_until("the clock to be a second further off", drifted, limit=10)
    assert off(mended, "web-1")[0] == pytest.approx(0, abs=0.2)


@pytest.mark.integration
def test_a_process_without_the_library_is_refused_by_name(mended: RunningStack) -> None:
    with pytest.raises(InjectionError, match="redis-server does not have libfaketime loaded"):
        clock_offset("store").plan(mended)


@pytest.mark.integration
@pytest.mark.parametrize("fault", [clock_offset("web"), clock_drift("web-1", rate=1)], ids=lambda f: f.kind)
def test_a_clock_that_nobody_sets_right_comes_right_in_place(mended: RunningStack, fault: Fault) -> None:
    ends_in_place(fault, mended)
