"""Redis connections exhausted: the server has reached `maxclients` and refuses the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._connections import ConnectionsFault
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class RedisConnections(ConnectionsFault):
    """Hold every connection that the Redis of each target gives, on `port` of its own loopback.

    By default Redis takes 10000; one whose users need a password counts those that have not given it too.
    """

    kind: ClassVar[str] = "redis_connections"
    part: ClassVar[str | None] = "redis"
    mode: ClassVar[Mode] = Mode.STARVED
    takes_out: ClassVar[bool] = True

    port: int = 6379

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"port {self.port}: valid are 1 to 65535")

    def greeting(self) -> tuple[str, bytes, str]:
        """A PING; whoever is asked for a password is connected as well."""
        return f"127.0.0.1:{self.port}", b"PING\r\n", r"\A(?:\+PONG|-NOAUTH)"

    @property
    def full(self) -> str:
        """What Redis says to a client too many."""
        return "max number of clients reached"


@constructor
def redis_connections(
    target: str = "redis.primary", port: int = 6379, **options: Unpack[Options]
) -> RedisConnections:
    """Leave no connection to a Redis: `redis_connections("redis.primary")`."""
    return RedisConnections(target, port, **options)
