"""The three-container stack of the tests, for benchmarks that need containers."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blackstart.injection.state import state_dir
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import connect
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, steady, up
from blackstart.stack.running import RunningStack
from tests import smallstack

#: Runs inside a container, with nothing but Python's own library.
INSIDE = Path(__file__).with_name("inside.py")


@contextmanager
def small_stack() -> Iterator[RunningStack]:
    """The small stack in its steady state, with a state folder; removed at the end, whatever happens."""
    platform = DockerPlatform(connect())
    tags = ensure_images(smallstack.stack.images(), progress=print)
    run_id = f"bench-{secrets.token_hex(4)}"
    folder = state_dir(run_id, create=True)
    try:
        running = up(smallstack.stack, run_id, platform, tags, print)
        steady(running, "60s", print)
        yield running
    finally:
        down(run_id, platform)
        shutil.rmtree(folder, ignore_errors=True)


def inside(container: str, *arguments: str) -> list[str]:
    """The command that runs `inside.py` in a container."""
    return ["docker", "exec", "-i", container, "python3", "-u", "-c", INSIDE.read_text(), *arguments]
