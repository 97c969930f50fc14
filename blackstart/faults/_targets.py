"""What the faults share that act inside the service's container of their target."""

from __future__ import annotations

from collections.abc import Sequence

from blackstart.faults.base import Platform, Site
from blackstart.model.errors import InjectionError, PlatformError


def containers(site: Site, target: str) -> tuple[str, ...]:
    """The service containers that `target` means now; InjectionError if one of them is down or frozen."""
    names = tuple(site.container(i.name) for i in site.resolve(target))
    for name in names:
        if not site.platform.is_running(name) or site.platform.is_paused(name):
            raise InjectionError(f"{name} is down or frozen: nothing can be done inside it")
    return names


def run(platform: Platform, name: str, cmd: Sequence[str], timeout: float = 10.0) -> str:
    """The output of a command inside a container; PlatformError with its last words if it fails."""
    ended = platform.exec(name, cmd, timeout)
    if ended.code != 0:
        said = ended.output.strip()[-300:] or f"exit {ended.code}"
        raise PlatformError(f"{name}: {said}")
    return ended.output.strip()


def shell(platform: Platform, name: str, script: str, *words: str, timeout: float = 10.0) -> str:
    """`run` of a shell script that gets `words` as $1, $2, …"""
    return run(platform, name, ["sh", "-c", script, "sh", *words], timeout)
