"""Disks: file systems of a limited size, kept alive by a container of their own."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from docker.errors import DockerException

from blackstart.model.errors import PlatformError
from blackstart.model.stack import Instance
from blackstart.platforms.capabilities import disk_place
from blackstart.platforms.launch import launch
from blackstart.stack.running import RunningStack

_MEMORY = "64m"


def create(running: RunningStack, image: str, labels: Mapping[str, str]) -> None:
    """Make the disks that the instances declare, and start their keeper from `image`, if there are any.

    A tmpfs lives while a container uses it: with the keeper it outlives whatever is done to the services.
    Raises PlatformError.
    """
    places = {}
    for instance in running.stack.instances:
        for path, size in instance.disks.items():
            name = _volume(running, instance, path)
            options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={size}"}
            try:
                running.platform.client.volumes.create(
                    name, driver="local", driver_opts=options, labels=dict(labels)
                )
            except (DockerException, requests.RequestException) as error:
                raise PlatformError(f"cannot create volume {name}: {error}") from error
            places[name] = disk_place(instance.name, path)
    if places:
        launch(
            running.platform.client,
            image,
            running.keeper,
            labels=dict(labels) | {"blackstart.part": "disks"},
            command=("sleep", "infinity"),
            entrypoint=["/usr/bin/tini", "--"],
            network_mode="none",
            mounts=places,
            mem_limit=_MEMORY,
        )


def mounts(running: RunningStack, instance: Instance) -> dict[str, str]:
    """The path of each volume that the instance's service mounts, by the volume's name."""
    return {_volume(running, instance, path): path for path in instance.disks}


def _volume(running: RunningStack, instance: Instance, path: str) -> str:
    return f"{running.container(instance.name)}{path.replace('/', '-')}"
