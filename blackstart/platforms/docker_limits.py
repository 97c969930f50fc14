"""Docker: the processors that a container may use, and OOM kills."""

from __future__ import annotations

from abc import abstractmethod

from docker.models.containers import Container as DockerContainer

from blackstart.platforms.docker_words import asked

#: Microseconds of one period of the kernel's scheduler; the quota counts within it.
_PERIOD_US = 100_000


class DockerLimits:
    """The part of `DockerPlatform` that limits. Every method raises PlatformError."""

    @abstractmethod
    def _ours(self, name: str) -> DockerContainer: ...

    def cpu_limit(self, name: str) -> float | None:
        """How many processors the container may use, as 0.5; None if it may use all."""
        config = self._ours(name).attrs["HostConfig"]
        quota = int(config.get("CpuQuota") or 0)
        return quota / int(config.get("CpuPeriod") or _PERIOD_US) if quota > 0 else None

    def limit_cpu(self, name: str, cpus: float | None) -> None:
        """Let the container use so many processors; None takes the limit off. Acts at once.

        The engine refuses this for a container that was started with `--cpus`.
        """
        container = self._ours(name)
        with asked(f"limit the processors of {name}"):
            container.update(cpu_period=_PERIOD_US, cpu_quota=round(cpus * _PERIOD_US) if cpus else -1)

    def oom_killed(self, name: str) -> bool:
        """Whether the container, now down, ended with an OOM kill in it."""
        return bool(self._ours(name).attrs["State"]["OOMKilled"])
