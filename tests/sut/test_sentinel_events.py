"""What the sample's own Sentinels say when its Redis primary dies, and when one of them does."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from blackstart.model.stack import Stack
from blackstart.observe import SentinelSource
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.waiting import wait_until
from blackstart.stack.conditions import Named
from blackstart.stack.running import RunningStack
from sut import conditions
from sut.stack import stack
from tests.observe.places import Events
from tests.stacks import brought_up

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def cache(platform: DockerPlatform) -> Iterator[RunningStack]:
    """The sample's Redis instances and Sentinels, without the rest of it."""
    part = Stack(
        name="cache",
        sidecar=stack.sidecar,
        instances=tuple(i for i in stack.instances if i.service in ("redis", "sentinel")),
        roles={"redis": stack.roles["redis"]},
        steady=(Named("the Sentinels agree", conditions.redis),),
    )
    with brought_up(part, platform, "60s") as running:
        yield running


def test_the_death_of_the_primary_is_told_step_by_step(cache: RunningStack) -> None:
    source, events = SentinelSource(), Events()
    source.start(cache, events)
    try:
        old = events.until(event="primary")["server"]
        assert len([e for e in events.all if e["event"] == "unreachable"]) == 0
        cache.platform.kill(cache.container(old))
        events.until(15, event="+sdown", server=old, kind="primary")
        assert events.until(15, event="+odown", server=old)["quorum"].endswith("/2")
        switch = events.until(15, event="+switch-master", was=old)
        new = switch["server"]
        assert new != old
        order = [e["event"] for e in events.all if e["source"] == "sentinel"]
        steps = ["+sdown", "+odown", "+try-failover", "+elected-leader", "+promoted-slave", "+switch-master"]
        assert [order.index(step) for step in steps] == sorted(order.index(step) for step in steps)
        cache.platform.start(cache.container(old))
        events.until(20, event="-sdown", server=old, kind="replica")

        cache.platform.kill(cache.container("sentinel-3"))
        events.until(10, event="unreachable", instance="sentinel-3")
        events.until(10, event="+sdown", server="sentinel-3", kind="sentinel")
        cache.platform.start(cache.container("sentinel-3"))
        events.until(20, event="reachable", instance="sentinel-3")
        assert not events.find(source="gate")

        # A Sentinel that was stalled for more than 2 s acts on nothing for the next 30 s.
        frozen, began = cache.container("sentinel-2"), time.monotonic()
        cache.platform.pause(frozen)
        events.until(10, event="unreachable", instance="sentinel-2")
        wait_until(
            "it was stalled for 3 s",
            lambda: None if time.monotonic() - began > 3 else "not yet",
            limit="10s",
        )
        cache.platform.unpause(frozen)
        events.until(10, source="gate", event="trip", gate="sentinel-tilt")
        events.until(10, event="+tilt", instance="sentinel-2")
        assert "TILT" in (conditions.redis(cache) or "")
    finally:
        source.stop()
