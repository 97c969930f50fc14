"""Table locked: a migration holds a table, and whoever reads or writes it waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._held import HeldFault
from blackstart.faults._postgres import PSQL, PostgresFault, ask, literal, table_name
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, PlatformError
from blackstart.model.modes import Mode

# psql waits for more to read, so its session idles in the transaction until the holder is ended.
_HOLD = r'{ printf "%s\n" "$1"; exec sleep infinity; } | { shift; "$@"; }'


@register
@dataclass(frozen=True)
class TableLocked(HeldFault, PostgresFault):
    """Hold `table` of the primary `target` in ACCESS EXCLUSIVE mode, as an ALTER TABLE does until its commit.

    Standbys hold the lock as well, once they have replayed it: no reader is left. What does not touch the
    table goes on. It waits at most 5 s for those who use the table.
    """

    kind: ClassVar[str] = "table_locked"
    mode: ClassVar[Mode] = Mode.FROZEN

    table: str

    def __post_init__(self) -> None:
        super().__post_init__()
        table_name(self.table)

    def details(self, site: Site, names: tuple[str, ...]) -> dict[str, Any]:
        """InjectionError unless each is a primary that has the table."""
        for name in names:
            self.primary(site, name)
            self.has_table(site, name, self.table)
        return {"psql": self.client}

    def command(self, name: str, data: Mapping[str, Any]) -> list[str]:
        """See HeldFault.command; the session bears the tag as its name."""
        sql = (
            "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = 0; "
            f"BEGIN; LOCK TABLE {self.table} IN ACCESS EXCLUSIVE MODE;"
        )
        session = [f"PGAPPNAME={data['tag']}", *self.client, "-d", self.database]
        return ["sh", "-c", _HOLD, data["tag"], sql, "env", *session, "-qX", "-v", "ON_ERROR_STOP=1"]

    def bite(self, site: Site, undo: Undo) -> str:
        """A reader waits in vain."""
        for name in undo.targets:
            try:
                self.ask(site, name, "SET lock_timeout = '200ms'", f"SELECT FROM {self.table} LIMIT 1")
            except PlatformError as error:
                if "lock timeout" not in str(error):
                    raise
            else:
                raise BiteError(f"{name}: {self.table} can be read")
        return f"{', '.join(undo.targets)}: a reader of {self.table} waits"

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The holder is gone, and so is its session."""
        if wrong := super().undone(undo, platform):
            return wrong
        sessions = (
            f"SELECT count(*) FROM pg_stat_activity WHERE application_name = {literal(undo.data['tag'])}"
        )
        for name in undo.targets:
            if (left := ask(platform, name, undo.data["psql"], sessions)) != "0":
                return f"{name} still has {left} sessions of {undo.data['tag']}"
        return None


@constructor
def table_locked(
    target: str, table: str, database: str = "postgres", psql: str = PSQL, **options: Unpack[Options]
) -> TableLocked:
    """Lock a table: `table_locked("postgres.primary", "documents", database="app")`."""
    return TableLocked(target, table, database=database, psql=psql, **options)
