"""Docker: a container is removed with all that it held, and made anew, empty, in the same place."""

from __future__ import annotations

import json
from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container as DockerContainer

from blackstart.model.errors import PlatformError
from blackstart.platforms.capabilities import PATTERN, pattern_of
from blackstart.platforms.docker_words import asked

_RUN, _PART = "blackstart.run", "blackstart.part"
#: The label of a pattern that holds the labels of what it is the pattern of.
_LABELS = "blackstart.labels"
#: What of a container's configuration is its own; host name and exposed ports are its network owner's.
_OWN = ("Image", "Cmd", "Entrypoint", "Env", "User", "WorkingDir", "StopSignal")


class DockerAnew:
    """The part of `DockerPlatform` that replaces services' containers. Every method raises PlatformError.

    How a removed container was made stays with the engine, as a container of the same configuration that is
    never started: its pattern. So any process can make it anew, and no file holds what its variables say.
    """

    client: docker.DockerClient

    def lose(self, name: str) -> None:
        """Remove the service's container and all that it wrote, but for its disks; idempotent.

        Refused for one with a network of its own: its address and its host ports would go with it.
        """
        container = self._found(name)
        if container is None:
            if self._found(pattern_of(name)) is None:
                raise PlatformError(f"cannot find {name}")
            return
        if self._found(pattern_of(name)) is None:
            labels = dict(container.labels)
            kept = {key: labels[key] for key in (_RUN, "blackstart.stack") if key in labels}
            self._make_like(
                container, pattern_of(name), {**kept, _PART: PATTERN, _LABELS: json.dumps(labels)}
            )
        with asked(f"remove {name}"):
            container.remove(v=True, force=True)

    def remake(self, name: str) -> None:
        """Have the container that `lose` removed run again, empty, unless somebody made it; idempotent.

        Its pattern is removed.
        """
        pattern, container = self._found(pattern_of(name)), self._found(name)
        if container is None:
            if pattern is None:
                raise PlatformError(f"{name} is gone, and so is what tells how it was made")
            self._make_like(pattern, name, json.loads(pattern.labels[_LABELS]))
            container = self._found(name)
        assert container is not None
        with asked(f"start {name}"):
            container.start()
        if pattern is not None:
            with asked(f"remove {pattern.name}"):
                pattern.remove(v=True, force=True)

    def is_lost(self, name: str) -> bool:
        """Whether there is no container of that name, and a pattern to make it by."""
        return self._found(name) is None and self._found(pattern_of(name)) is not None

    def _make_like(self, like: DockerContainer, name: str, labels: dict[str, str]) -> None:
        """Create a container of another's configuration; it is not started."""
        config: dict[str, Any] = like.attrs["Config"]
        host: dict[str, Any] = like.attrs["HostConfig"]
        if not str(host.get("NetworkMode", "")).startswith("container:"):
            raise PlatformError(f"{like.name} has a network of its own: it is not replaced")
        made = {key: config[key] for key in _OWN if config.get(key) is not None}
        with asked(f"make {name}"):
            made |= {"Labels": labels, "HostConfig": host}
            self.client.api.create_container_from_config(made, name)  # type: ignore[no-untyped-call]

    def _found(self, name: str) -> DockerContainer | None:
        """The container, if there is one; PlatformError if it is not of a run."""
        with asked(f"find {name}"):
            try:
                container = self.client.containers.get(name)
            except NotFound:
                return None
        if _RUN not in container.labels:
            raise PlatformError(f"{name} is not ours (it has no label {_RUN}): not touched")
        return container
