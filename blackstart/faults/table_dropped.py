"""Table dropped: a migration, or somebody on the wrong server, removed a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._postgres import NOTHING, PSQL, Disaster, table_name
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, PlatformError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class TableDropped(Disaster):
    """Drop `table`, and with `cascade` what depends on it. Nothing undoes it.

    It waits at most 5 s for those who use the table.
    """

    kind: ClassVar[str] = "table_dropped"
    mode: ClassVar[Mode] = Mode.DATA
    lasts: ClassVar[bool] = False

    table: str
    cascade: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        table_name(self.table)

    def plan(self, site: Site) -> Undo:
        """InjectionError, naming the tables there are, if this one is not."""
        names = containers(site, self.target)
        for name in names:
            self.primary(site, name)
            self.has_table(site, name, self.table)
        return Undo(self.kind, site.run_id, names, {}, NOTHING)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            drop = f"DROP TABLE {self.table}{' CASCADE' if self.cascade else ''}"
            self.ask(site, name, "SET lock_timeout = '5s'", drop)

    def bite(self, site: Site, undo: Undo) -> str:
        """To read it fails, since it does not exist."""
        for name in undo.targets:
            try:
                self.ask(site, name, f"SELECT FROM {self.table} LIMIT 1")
            except PlatformError as error:
                if "does not exist" not in str(error):
                    raise
            else:
                raise BiteError(f"{name}: {self.table} can be read")
        return f"{', '.join(undo.targets)}: {self.table} does not exist"


@constructor
def table_dropped(
    target: str,
    table: str,
    cascade: bool = False,
    database: str = "postgres",
    psql: str = PSQL,
    **options: Unpack[Options],
) -> TableDropped:
    """Drop a table: `table_dropped("postgres.primary", "turns", database="app")`."""
    return TableDropped(target, table, cascade, database=database, psql=psql, **options)
