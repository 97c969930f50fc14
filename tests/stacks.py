"""A stack that is there as long as a test needs it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blackstart.model.durations import Duration
from blackstart.model.errors import HarnessError
from blackstart.model.stack import Stack
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, steady, up
from blackstart.stack.running import RunningStack


@contextmanager
def brought_up(stack: Stack, platform: DockerPlatform, limit: Duration = "30s") -> Iterator[RunningStack]:
    """The stack, steady after `limit` at most, in a run of its own; removed at the end, whatever happens."""
    tags = ensure_images(stack.images(), progress=print)
    run_id = f"test-{secrets.token_hex(4)}"
    try:
        running = up(stack, run_id, platform, tags, print)
        steady(running, limit, print)
        yield running
    finally:
        try:
            down(run_id, platform)
        except HarnessError as error:
            pytest.fail(f"run {run_id} is not removed: {error}")
