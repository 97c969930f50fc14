"""The faults on processes, containers and nodes, on real containers: felt, undone, and nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blackstart.faults import freeze, kill
from blackstart.model.errors import InjectionError
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.small import injected, ready_s, well

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def _mend(small: RunningStack) -> Iterator[None]:
    yield
    reset(small, "30s")


@pytest.mark.parametrize("target", ["web-1", "web[zone=b]", "store"])
def test_killed_containers_come_back(small: RunningStack, target: str) -> None:
    with injected(kill(target), small) as bite:
        assert "is down" in bite
    well(small)


def test_a_killed_process_is_gone_at_once(small: RunningStack) -> None:
    with injected(kill("store", process="redis-server"), small) as bite:
        assert "processes redis-server" in bite
    well(small)


def test_an_unknown_process_is_refused_with_those_that_run(small: RunningStack) -> None:
    with pytest.raises(InjectionError, match="redis-server"):
        kill("store", process="postgres").plan(small)


def test_a_frozen_container_goes_on(small: RunningStack) -> None:
    with injected(freeze("web"), small) as bite:
        assert "paused" in bite
        assert ready_s(small) is None
    well(small)
