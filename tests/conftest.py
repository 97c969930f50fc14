"""Fixtures of the engine's own tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import connect
from blackstart.stack.running import RunningStack
from tests import smalldatabase, smallstack
from tests.stacks import brought_up


@pytest.fixture(scope="session")
def platform() -> DockerPlatform:
    """The Docker engine of this machine; without one the test fails with what to do."""
    return DockerPlatform(connect())


@pytest.fixture(scope="session")
def small(platform: DockerPlatform) -> Iterator[RunningStack]:
    """The small stack in its steady state; removed at the end, whatever happens.

    Tests that break it must mend it: `blackstart.stack.provision.reset(small, "30s")`.
    """
    with brought_up(smallstack.stack, platform) as running:
        yield running


@pytest.fixture(scope="session")
def database(platform: DockerPlatform) -> Iterator[RunningStack]:
    """A stack of one plain Postgres, as `small` is one of a store and two that call it."""
    with brought_up(smalldatabase.stack, platform) as running:
        yield running
