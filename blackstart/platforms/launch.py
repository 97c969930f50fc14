"""Create containers through testcontainers: one network a run, host ports that stay the same for life."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping, Sequence
from typing import Any, cast

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from blackstart.model.errors import PlatformError

#: Below the kernel's ephemeral range (from 32768), so that no outgoing connection takes one meanwhile.
_HOST_PORTS = range(20_000, 32_000)
_ATTEMPTS = 8


def network(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> None:
    """Create a bridge network; PlatformError if the engine refuses."""
    try:
        client.networks.create(name, driver="bridge", labels=dict(labels), check_duplicate=True)
    except (DockerException, requests.RequestException) as error:
        raise PlatformError(f"cannot create network {name}: {error}") from error


def disk(client: docker.DockerClient, name: str, size: str, labels: Mapping[str, str]) -> None:
    """Create a volume that is a file system of `size` in memory; PlatformError if the engine refuses."""
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={size}"}
    try:
        client.volumes.create(name, driver="local", driver_opts=options, labels=dict(labels))
    except (DockerException, requests.RequestException) as error:
        raise PlatformError(f"cannot create volume {name}: {error}") from error


def launch(
    client: docker.DockerClient,
    image: str,
    name: str,
    *,
    labels: Mapping[str, str],
    command: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    publish: Sequence[int] = (),
    mounts: Mapping[str, str] | None = None,
    **options: Any,
) -> dict[int, int]:
    """Create and start a container; returns container port -> host port on 127.0.0.1 for those in `publish`.

    `mounts` gives volumes by name their places; `options` go to the Docker SDK. Host ports are chosen once: a
    restart keeps them. A port that someone else took meanwhile is chosen anew. Raises PlatformError with the
    engine's own words.
    """
    testcontainers_config.ryuk_disabled = True
    for attempt in range(1, _ATTEMPTS + 1):
        ports = free_ports(publish)
        container = DockerContainer(image, name=name)
        container.get_docker_client().client.close()
        # One connection pool for all: each DockerContainer brings its own client along otherwise.
        container.get_docker_client().client = client
        container.with_envs(**dict(env or {}))
        for volume, place in (mounts or {}).items():
            container.with_volume_mapping(volume, place, "rw")
        if command is not None:
            container.with_command(list(command))
        container.ports.update(
            cast("dict[str, int | None]", {f"{c}/tcp": ("127.0.0.1", h) for c, h in ports.items()})
        )
        options.setdefault("network", None)
        container.with_kwargs(labels=dict(labels), **options)
        try:
            container.start()
            return ports
        except (DockerException, requests.RequestException) as error:
            why = str(getattr(error, "explanation", None) or error)
            taken = "port is already allocated" in why or "address already in use" in why
            if not taken or attempt == _ATTEMPTS:
                raise PlatformError(f"cannot start {name} from {image}: {why}") from error
            _discard(client, name)
    raise AssertionError("unreachable")


def free_ports(wanted: Sequence[int]) -> dict[int, int]:
    """A host port on 127.0.0.1 that is free now, for each container port."""
    chosen: dict[int, int] = {}
    for port in wanted:
        for candidate in random.SystemRandom().sample(_HOST_PORTS, 64):
            if candidate not in chosen.values() and _is_free(candidate):
                chosen[port] = candidate
                break
        else:
            raise PlatformError(
                f"no free port on 127.0.0.1 between {_HOST_PORTS.start} and {_HOST_PORTS.stop}"
            )
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _discard(client: docker.DockerClient, name: str) -> None:
    try:
        client.api.remove_container(name, v=True, force=True)
    except NotFound:
        pass
    except APIError as error:
        raise PlatformError(f"cannot remove {name}: {error}") from error
