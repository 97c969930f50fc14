"""Postgres connections exhausted: the server has too many clients already and refuses the next."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._connections import ConnectionsFault
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class PostgresConnections(ConnectionsFault):
    """Hold every connection that the Postgres of each target gives to `user` of `database`.

    The connections come through the Unix socket `socket` in its container; `pg_hba.conf` must let `user` in
    there without a password. A superuser takes those that are reserved for superusers as well.
    """

    kind: ClassVar[str] = "postgres_connections"
    part: ClassVar[str | None] = "postgres"
    mode: ClassVar[Mode] = Mode.STARVED
    takes_out: ClassVar[bool] = True

    user: str = "postgres"
    database: str = "postgres"
    socket: str = "/var/run/postgresql/.s.PGSQL.5432"

    def greeting(self) -> tuple[str, bytes, str]:
        """A startup message of protocol 3.0; the welcome is AuthenticationOk, then ReadyForQuery."""
        words = b"".join(f"{w}\0".encode() for w in ("user", self.user, "database", self.database)) + b"\0"
        message = struct.pack("!II", len(words) + 8, 3 << 16) + words
        return self.socket, message, r"\AR\0\0\0\x08\0\0\0\0.*Z\0\0\0\x05I\z"

    @property
    def full(self) -> str:
        """SQLSTATE 53300, as the error message has it."""
        return "C53300"


@constructor
def postgres_connections(
    target: str = "postgres.primary",
    user: str = "postgres",
    database: str = "postgres",
    socket: str = "/var/run/postgresql/.s.PGSQL.5432",
    **options: Unpack[Options],
) -> PostgresConnections:
    """Leave no connection to a Postgres: `postgres_connections("postgres.primary", user="app")`."""
    return PostgresConnections(target, user, database, socket, **options)
