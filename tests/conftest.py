"""Fixtures of the engine's own tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from blackstart.model.errors import HarnessError
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import connect
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, steady, up
from blackstart.stack.running import RunningStack
from tests import smallstack


@pytest.fixture(scope="session")
def platform() -> DockerPlatform:
    """The Docker engine of this machine; without one the test fails with what to do."""
    return DockerPlatform(connect())


@pytest.fixture(scope="session")
def small(platform: DockerPlatform) -> Iterator[RunningStack]:
    """The small stack in its steady state; removed at the end, whatever happens.

    Tests that break it must mend it: `blackstart.stack.provision.reset(small, "30s")`.
    """
    tags = ensure_images(smallstack.stack.images(), progress=print)
    run_id = f"test-{secrets.token_hex(4)}"
    try:
        running = up(smallstack.stack, run_id, platform, tags, print)
        steady(running, "30s", print)
        yield running
    finally:
        try:
            down(run_id, platform)
        except HarnessError as error:
            pytest.fail(f"run {run_id} is not removed: {error}")
