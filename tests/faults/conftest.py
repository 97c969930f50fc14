"""Model providers for the faults on their wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blackstart.platforms.docker import DockerPlatform
from tests import llmstack
from tests.faults.providers import Provider, process
from tests.stacks import brought_up


@pytest.fixture(scope="session")
def provider_process() -> Iterator[Provider]:
    """The provider as a process of its own."""
    with process() as running:
        yield running


@pytest.fixture(scope="session")
def provider_pod(platform: DockerPlatform) -> Iterator[Provider]:
    """The provider as a pod, from the image of the sample stack; removed at the end."""
    with brought_up(llmstack.stack, platform) as running:
        networks = platform.inspect(running.sidecar("llm-1"))["NetworkSettings"]["Networks"]
        (address,) = (network["IPAddress"] for network in networks.values())
        yield Provider(running, running.url("llm-1", "http"), (address, 8080))
