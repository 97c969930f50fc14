"""Redis memory full: the server has reached `maxmemory`, evicts what it may and refuses the rest."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers, on_each
from blackstart.faults._inside import by_hand, run
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.modes import Mode
from blackstart.model.sizes import Size, size_bytes


@register
@dataclass(frozen=True)
class RedisMemoryFull(Fault):
    """Lower `maxmemory` of each `target` to `limit`, by the command `redis` inside its container.

    A `limit` below what the server itself needs leaves no room at all: whatever the policy lets go goes, and
    every write that takes memory is refused. What was evicted stays gone.
    """

    kind: ClassVar[str] = "redis_memory_full"
    mode: ClassVar[Mode] = Mode.STARVED
    part: ClassVar[str | None] = "redis"
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    expires_in_place: ClassVar[bool] = True
    persistent: ClassVar[bool] = True

    target: str
    limit: Size = "512KiB"
    redis: str = "redis-cli"

    def __post_init__(self) -> None:
        super().__post_init__()
        size_bytes(self.limit)
        if not self.redis.strip():
            raise ConfigError("redis: write the command that connects, as 'redis-cli'")

    def plan(self, site: Site) -> Undo:
        """Records the limit in force; InjectionError if the server does not tell it."""
        names = containers(site, self.target)
        command = shlex.split(self.redis)
        try:
            before = {name: _limit(site.platform, name, command) for name in names}
        except PlatformError as error:
            raise InjectionError(str(error)) from error
        expiry = {name: [*command, "config", "set", "maxmemory", was] for name, was in before.items()}
        data = {"redis": command, "before": before}
        return Undo(self.kind, site.run_id, names, data, by_hand(expiry), expiry, fresh_id())

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            _ask(site.platform, name, undo.data["redis"], "config", "set", "maxmemory", self._bytes)

    def bite(self, site: Site, undo: Undo) -> str:
        """A write is refused, in the server's own words."""
        for name in undo.targets:
            try:
                words = ("set", f"blackstart:{undo.id}", "1", "ex", "60")
                _ask(site.platform, name, undo.data["redis"], *words)
            except PlatformError as error:
                if "OOM" in str(error):
                    continue
                raise BiteError(str(error)) from error
            raise BiteError(f"{name} still takes a write under a limit of {self.limit}")
        return f"{', '.join(undo.targets)}: a write is refused for want of memory"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Put back the limit of before; start a container that is down first."""

        def restore(name: str) -> None:
            platform.start(name)
            _ask(platform, name, undo.data["redis"], "config", "set", "maxmemory", undo.data["before"][name])

        on_each(undo.targets, restore)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The limit in force is the one of before."""
        for name, before in undo.data["before"].items():
            if (now := _limit(platform, name, undo.data["redis"])) != before:
                return f"{name}: maxmemory is {now}"
        return None

    @property
    def _bytes(self) -> str:
        return str(size_bytes(self.limit))


def _ask(platform: Platform, name: str, command: list[str], *words: str) -> str:
    # With -e an error of the server ends the client with an error as well.
    return run(platform, name, [*command, "-e", *words])


def _limit(platform: Platform, name: str, command: list[str]) -> str:
    """`maxmemory` in bytes; 0 is none."""
    return _ask(platform, name, command, "config", "get", "maxmemory").split()[-1]


@constructor
def redis_memory_full(
    target: str = "redis.primary",
    limit: Size = "512KiB",
    redis: str = "redis-cli",
    **options: Unpack[Options],
) -> RedisMemoryFull:
    """Have a Redis run out of memory: `redis_memory_full("redis.primary")`."""
    return RedisMemoryFull(target, limit, redis, **options)
