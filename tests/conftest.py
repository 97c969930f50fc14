"""Fixtures of the engine's own tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blackstart.model.errors import HarnessError
from blackstart.model.stack import Stack
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import connect
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, steady, up
from blackstart.stack.running import RunningStack
from tests import smalldatabase, smallstack


@pytest.fixture(scope="session")
def platform() -> DockerPlatform:
    """The Docker engine of this machine; without one the test fails with what to do."""
    return DockerPlatform(connect())


@pytest.fixture(scope="session")
def small(platform: DockerPlatform) -> Iterator[RunningStack]:
    """The small stack in its steady state; removed at the end, whatever happens.

    Tests that break it must mend it: `blackstart.stack.provision.reset(small, "30s")`.
    """
    with _running(smallstack.stack, platform) as running:
        yield running


@pytest.fixture(scope="session")
def database(platform: DockerPlatform) -> Iterator[RunningStack]:
    """A stack of one plain Postgres, as `small` is one of a store and two that call it."""
    with _running(smalldatabase.stack, platform) as running:
        yield running


@contextmanager
def _running(stack: Stack, platform: DockerPlatform) -> Iterator[RunningStack]:
    tags = ensure_images(stack.images(), progress=print)
    run_id = f"test-{secrets.token_hex(4)}"
    try:
        running = up(stack, run_id, platform, tags, print)
        steady(running, "30s", print)
        yield running
    finally:
        try:
            down(run_id, platform)
        except HarnessError as error:
            pytest.fail(f"run {run_id} is not removed: {error}")
