"""Disks: file systems of a limited size, kept alive by a container of their own."""

from __future__ import annotations

from collections.abc import Mapping

from blackstart.model.stack import Instance
from blackstart.platforms.capabilities import disk_place
from blackstart.stack.running import RunningStack


def create(running: RunningStack, image: str, labels: Mapping[str, str]) -> None:
    """Make the disks that the instances declare, and start their keeper from `image`, if there are any.

    A tmpfs lives while a container uses it: with the keeper it outlives whatever is done to the services. The
    keeper has no memory limit, since what it writes to a disk would count against it.
    Raises PlatformError.
    """
    from blackstart.platforms.launch import disk, launch

    places = {}
    for instance in running.stack.instances:
        for path, size in instance.disks.items():
            name = _volume(running, instance, path)
            disk(running.platform.client, name, size, labels)
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
        )


def mounts(running: RunningStack, instance: Instance) -> dict[str, str]:
    """The path of each volume that the instance's service mounts, by the volume's name."""
    return {_volume(running, instance, path): path for path in instance.disks}


def _volume(running: RunningStack, instance: Instance, path: str) -> str:
    return f"{running.container(instance.name)}{path.replace('/', '-')}"
