"""Cache flushed: a Redis forgets all it held, at once."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._inside import run
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class CacheFlushed(Fault):
    """FLUSHALL on the Redis of each `target`, by the command `redis` inside its container.

    Nothing undoes it: the service fills its cache again, or does not, and what else was there is lost.
    """

    kind: ClassVar[str] = "cache_flushed"
    mode: ClassVar[Mode] = Mode.DATA
    reversible: ClassVar[bool] = False
    lasts: ClassVar[bool] = False
    part: ClassVar[str | None] = "redis"
    capabilities: ClassVar[tuple[str, ...]] = ("exec",)

    target: str
    redis: str = "redis-cli"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.redis.strip():
            raise ConfigError("redis: write the command that connects, as 'redis-cli'")

    def plan(self, site: Site) -> Undo:
        """Counts the keys; InjectionError for a replica, which would refuse."""
        names = containers(site, self.target)
        keys = {}
        for name in names:
            try:
                if self._ask(site, name, "role").split()[0] != "master":
                    raise InjectionError(f"{name} is a replica: strike the primary")
                keys[name] = int(self._ask(site, name, "dbsize"))
            except PlatformError as error:
                raise InjectionError(str(error)) from error
        manual = "nothing undoes this: the service fills its cache again"
        return Undo(self.kind, site.run_id, names, {"keys": keys}, manual)

    def inject(self, site: Site, undo: Undo) -> None:
        """A key of ours is put among the others first, for the bite: those may be back at once."""
        for name in undo.targets:
            self._ask(site, name, "set", _marker(undo), "1", "ex", "600")
            self._ask(site, name, "flushall")

    def bite(self, site: Site, undo: Undo) -> str:
        """The key that was put among the others is gone."""
        for name in undo.targets:
            if self._ask(site, name, "exists", _marker(undo)) != "0":
                raise BiteError(f"{name} has not forgotten its keys")
        return ", ".join(f"{name} forgot {keys} keys" for name, keys in undo.data["keys"].items())

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Nothing: what was forgotten is gone."""

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """Always: there is nothing to undo."""
        return None

    def _ask(self, site: Site, name: str, *words: str) -> str:
        # With -e an error of the server ends the client with an error as well.
        return run(site.platform, name, [*shlex.split(self.redis), "-e", *words])


def _marker(undo: Undo) -> str:
    return f"blackstart:{undo.id}"


@constructor
def cache_flushed(target: str, redis: str = "redis-cli", **options: Unpack[Options]) -> CacheFlushed:
    """Have a Redis forget everything: `cache_flushed("redis.primary")`."""
    return CacheFlushed(target, redis, **options)
