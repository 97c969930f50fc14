"""What the faults on a Postgres share: `psql` inside the target's container, as superuser."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from blackstart.faults._inside import run
from blackstart.faults.base import Fault, Platform, Site, Undo
from blackstart.model.errors import ConfigError, InjectionError, PlatformError

#: The user `postgres` through the Unix socket: lets in with `trust` and with `peer`.
PSQL = "setpriv --reuid=postgres --regid=postgres --clear-groups psql -h /var/run/postgresql -U postgres"
_TABLE = re.compile(r"(?:[a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class PostgresFault(Fault):
    """A fault on the Postgres of `target`, reached by the command `psql` inside its container.

    `database`: where, unless it is the whole server that is struck.
    """

    part: ClassVar[str | None] = "postgres"
    capabilities: ClassVar[tuple[str, ...]] = ("exec",)

    target: str
    database: str = field(default="postgres", kw_only=True)
    psql: str = field(default=PSQL, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            words = shlex.split(self.psql)
        except ValueError as error:
            raise ConfigError(f"psql={self.psql!r} is no command: {error}") from None
        if not words:
            raise ConfigError(f"psql: write the command that connects as superuser, as {PSQL!r}")

    def ask(self, site: Site, name: str, *sql: str) -> str:
        """See `ask`; here in the fault's own database."""
        return ask(site.platform, name, [*self.client, "-d", self.database], *sql)

    @property
    def client(self) -> list[str]:
        """`psql` as words."""
        return shlex.split(self.psql)

    def primary(self, site: Site, name: str) -> None:
        """InjectionError if the Postgres of the container takes no writes, or does not answer."""
        try:
            standby = self.ask(site, name, "SELECT pg_is_in_recovery()")
        except PlatformError as error:
            raise InjectionError(str(error)) from error
        if standby != "f":
            raise InjectionError(f"{name} is a standby: strike the primary")

    def has_table(self, site: Site, name: str, table: str) -> None:
        """InjectionError, naming the tables there are, if this one is not."""
        if not self.ask(site, name, f"SELECT to_regclass({literal(table)})"):
            listed = "SELECT string_agg(relid::regclass::text, ', ') FROM pg_stat_user_tables"
            known = self.ask(site, name, listed)
            raise InjectionError(f"{name} has no table {table}; it has: {known or 'none'}")


@dataclass(frozen=True)
class Disaster(PostgresFault):
    """Data is gone for good: nothing undoes it, and to recover is what the drill proves."""

    reversible: ClassVar[bool] = False

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Nothing: whatever is restored, the drill restores."""

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """Always: there is nothing to undo."""
        return None


#: What a person is told of a disaster.
NOTHING = "nothing undoes this: restore from the backup"


def ask(platform: Platform, name: str, psql: Sequence[str], *sql: str) -> str:
    """The bare rows that the statements give, each run for itself; PlatformError with the server's words."""
    words = [*psql, "-AtqX", "-v", "ON_ERROR_STOP=1"]
    for statement in sql:
        words += ["-c", statement]
    return run(platform, name, ["env", "PGCONNECT_TIMEOUT=3", *words], timeout=30)


def table_name(name: str) -> str:
    """The name itself; ConfigError if it is not that of a table, with or without a schema."""
    if not _TABLE.fullmatch(name):
        raise ConfigError(f"{name!r} is no table: write `name` or `schema.name`, in small letters")
    return name


def literal(text: str) -> str:
    """`text` as SQL has it between quotes."""
    return "'" + text.replace("'", "''") + "'"


def quoted(text: str) -> str:
    """`text` as the name of something in SQL."""
    return '"' + text.replace('"', '""') + '"'
