"""Commands inside a container, for the faults that act there."""

from __future__ import annotations

from collections.abc import Sequence

from blackstart.faults.base import Platform
from blackstart.model.errors import PlatformError


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
