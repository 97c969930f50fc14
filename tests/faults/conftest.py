"""Model providers for the faults on their wire."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, steady, up
from tests import llmstack
from tests.faults.providers import Provider, process


@pytest.fixture(scope="session")
def provider_process() -> Iterator[Provider]:
    """The provider as a process of its own."""
    with process() as running:
        yield running


@pytest.fixture(scope="session")
def provider_pod(platform: DockerPlatform) -> Iterator[Provider]:
    """The provider as a pod, from the image of the sample stack; removed at the end."""
    tags = ensure_images(llmstack.stack.images(), progress=print)
    run_id = f"test-{secrets.token_hex(4)}"
    try:
        running = up(llmstack.stack, run_id, platform, tags, print)
        steady(running, "30s", print)
        networks = platform.inspect(running.sidecar("llm-1"))["NetworkSettings"]["Networks"]
        (address,) = (network["IPAddress"] for network in networks.values())
        yield Provider(running, running.url("llm-1", "http"), (address, 8080))
    finally:
        down(run_id, platform)
