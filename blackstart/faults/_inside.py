"""Commands inside a container, for the faults that act there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from blackstart.faults.base import Platform
from blackstart.model.errors import InjectionError, PlatformError

#: What a fault leaves free of the memory of the host, in KiB.
_MARGIN_KIB = 256 << 10


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


def by_hand(commands: Mapping[str, Sequence[str]]) -> str:
    """For a person: what runs each command inside its container."""
    return "; ".join(
        shlex.join(["docker", "exec", "-u", "0", name, *words]) for name, words in commands.items()
    )


def refuse_to_starve_the_host(platform: Platform, name: str, kib: int) -> None:
    """InjectionError if the host of that container has too little memory free for `kib` more to be used."""
    told = shell(platform, name, "awk '/^MemAvailable:/ { print $2 }' /proc/meminfo")
    if not told:
        raise PlatformError(f"{name}: cannot tell how much memory its host has free")
    free = int(told)
    if kib > free - _MARGIN_KIB:
        raise InjectionError(
            f"{name}: this would use {kib >> 10} MiB, and the host has {free >> 10} MiB free, "
            f"of which {_MARGIN_KIB >> 10} MiB are to be left"
        )
