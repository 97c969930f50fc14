"""Every fault on real containers: it bites, is undone, and leaves the stack as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from blackstart.faults import Fault, edge_down, edge_latency, edge_timeout, freeze, kill
from blackstart.model.errors import InjectionError
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def _mend(small: RunningStack) -> Iterator[None]:
    yield
    reset(small, "30s")


def through(fault: Fault, small: RunningStack) -> str:
    """Plan, inject, see it bite; returns the bite, having checked that the undo follows from the plan."""
    undo = fault.plan(small)
    try:
        fault.inject(small, undo)
        seen: list[str] = []

        def bites() -> str | None:
            seen.append(fault.bite(small, undo))
            return None

        wait_until(f"bite of {fault.kind}", bites, limit=5)
        assert type(fault).undone(undo, small.platform) is not None or fault.kind == "kill"
    finally:
        type(fault).undo(undo, small.platform)
        wait_until("undone", lambda: type(fault).undone(undo, small.platform), limit=15)
    type(fault).undo(undo, small.platform)
    return seen[-1]


def ready_s(small: RunningStack) -> float | None:
    """Seconds until web-1 says that it reaches the store; None if it does not."""
    began = time.monotonic()
    try:
        answer = requests.get(small.url("web-1", "http", "/health/ready"), timeout=3)
    except requests.RequestException:
        return None
    return time.monotonic() - began if answer.status_code == 200 else None


def well(small: RunningStack) -> None:
    wait_until("web-1 is ready", lambda: None if ready_s(small) is not None else "not ready", limit=20)


@pytest.mark.parametrize("target", ["web-1", "web[zone=b]", "store"])
def test_killed_containers_come_back(small: RunningStack, target: str) -> None:
    assert "is down" in through(kill(target), small)
    well(small)


def test_a_killed_process_is_gone_at_once(small: RunningStack) -> None:
    assert "processes redis-server" in through(kill("store", process="redis-server"), small)
    well(small)


def test_an_unknown_process_is_refused_with_those_that_run(small: RunningStack) -> None:
    with pytest.raises(InjectionError, match="redis-server"):
        kill("store", process="postgres").plan(small)


def test_a_frozen_container_goes_on(small: RunningStack) -> None:
    assert "paused" in through(freeze("web"), small)
    well(small)


def test_an_edge_down_is_felt_on_that_edge_alone(small: RunningStack) -> None:
    fault = edge_down("web-1", "store-1")
    undo = fault.plan(small)
    fault.inject(small, undo)
    try:
        assert ready_s(small) is None
        url = small.url("web-2", "http", "/health/ready")
        assert requests.get(url, timeout=3).status_code == 200
    finally:
        type(fault).undo(undo, small.platform)
    well(small)
    assert "proxies disabled: web-1 -> store-1:6379" in through(fault, small)


@pytest.mark.parametrize("direction", ["both", "upstream", "downstream"])
def test_latency_is_measured_as_it_is_felt(small: RunningStack, direction: str) -> None:
    bite = through(edge_latency("web-1", "store-1", latency="300ms", direction=direction), small)
    measured_ms = int(bite.rsplit("after ", 1)[1].removesuffix(" ms"))
    expected = 600 if direction == "both" else 300
    assert 0.9 * expected <= measured_ms < expected + 400
    well(small)


@pytest.mark.parametrize("direction", ["upstream", "downstream"])
def test_what_is_said_into_a_black_hole_is_not_answered(small: RunningStack, direction: str) -> None:
    fault = edge_timeout("web-1", "store-1", direction=direction)
    undo = fault.plan(small)
    fault.inject(small, undo)
    try:
        assert fault.bite(small, undo).startswith("timeout")
        assert ready_s(small) is None
        answer = requests.get(small.url("web-2", "http", "/health/ready"), timeout=3)
        assert answer.status_code == 200, "the other edge is whole"
    finally:
        type(fault).undo(undo, small.platform)
    wait_until("undone", lambda: type(fault).undone(undo, small.platform), limit=5)
    well(small)
