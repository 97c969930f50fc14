"""Rows deleted: somebody's DELETE took more than it should have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._postgres import NOTHING, PSQL, Disaster, table_name
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class RowsDeleted(Disaster):
    """Delete the rows of `table` for which `where` (SQL) holds, of those a `share` chosen by `seed`.

    The choice depends on a row's content and the seed alone: the same rows in every trial. Nothing undoes it.
    """

    kind: ClassVar[str] = "rows_deleted"
    mode: ClassVar[Mode] = Mode.DATA
    lasts: ClassVar[bool] = False

    table: str
    where: str = "true"
    share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        table_name(self.table)
        if not 0 < self.share <= 1:
            raise ConfigError(f"share={self.share}: valid are above 0, and up to 1 for all")

    def plan(self, site: Site) -> Undo:
        """Counts the rows; InjectionError if the table is not there or nothing would be deleted."""
        names = containers(site, self.target)
        rows = {}
        for name in names:
            self.primary(site, name)
            rows[name] = int(self.ask(site, name, self._count()))
            if not rows[name]:
                raise InjectionError(f"{name}: {self.table} has no such rows: nothing would be deleted")
        return Undo(self.kind, site.run_id, names, {"rows": rows}, NOTHING)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            self.ask(site, name, f"DELETE FROM {self.table} AS victim WHERE {self._chosen()}")

    def bite(self, site: Site, undo: Undo) -> str:
        """Fewer such rows are left than there were."""
        felt = []
        for name, before in undo.data["rows"].items():
            if (left := int(self.ask(site, name, self._count()))) >= before:
                raise BiteError(f"{name}: {self.table} has {left} such rows, and had {before}")
            felt.append(f"{name}: {before - left} of {before} such rows of {self.table} gone")
        return ", ".join(felt)

    def _chosen(self) -> str:
        if self.share == 1:
            return f"({self.where})"
        drawn = f"abs(hashtextextended(victim::text, {self.seed}) % 1000000)"
        return f"({self.where}) AND {drawn} < {round(self.share * 1_000_000)}"

    def _count(self) -> str:
        return f"SELECT count(*) FROM {self.table} AS victim WHERE {self._chosen()}"


@constructor
def rows_deleted(
    target: str,
    table: str,
    where: str = "true",
    share: float = 1.0,
    seed: int = 0,
    database: str = "postgres",
    psql: str = PSQL,
    **options: Unpack[Options],
) -> RowsDeleted:
    """Delete rows: `rows_deleted("postgres.primary", "turns", where="id > 100", share=0.5)`."""
    return RowsDeleted(target, table, where, share, seed, database=database, psql=psql, **options)
