"""Page corrupted: bytes of a table on disk are not what was written, as with a failing disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._inside import shell
from blackstart.faults._postgres import NOTHING, PSQL, Disaster, literal, table_name
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.modes import Mode

_PAGE, _BYTES = 8192, 16
_FIND = (
    "SELECT current_setting('data_checksums'), pg_relation_size({name}) / {size}, "
    "current_setting('data_directory') || '/' || pg_relation_filepath({name})"
)
# While nobody can touch the table, its page leaves the server's memory, and 16 bytes of it are inverted on
# disk. The extension is there for this one transaction only, which is rolled back.
_STRIKE = """\
\\set ON_ERROR_STOP on
BEGIN;
SET LOCAL lock_timeout = '5s';
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
CHECKPOINT;
CREATE EXTENSION IF NOT EXISTS pg_buffercache;
SELECT pg_buffercache_evict(bufferid) FROM pg_buffercache
 WHERE relfilenode = pg_relation_filenode({name}) AND relforknumber = 0 AND relblocknumber = {page}
   AND reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database());
\\! perl -e '{invert}' '{file}' {offset}
ROLLBACK;
"""
_FAILURES = "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"
_INVERT = (
    "open my $f, q(+<), $ARGV[0] or die; seek $f, $ARGV[1], 0; read $f, my $b, 16; "
    "seek $f, $ARGV[1], 0; print $f ~$b; close $f or die"
)


@register
@dataclass(frozen=True)
class PageCorrupted(Disaster):
    """Invert 16 bytes of page `page` (from 0; 8 KiB each) of `table` on the disk of a primary.

    They begin at byte `at` of the page: by default in its middle, where there may be a row or none. With
    checksums, without which this is refused, to read the page fails from then on. Nothing undoes it; a
    standby has its own copy. The server must be able to load the extension `pg_buffercache`, of 17 or later.
    """

    kind: ClassVar[str] = "page_corrupted"
    mode: ClassVar[Mode] = Mode.DATA
    lasts: ClassVar[bool] = False

    table: str
    page: int = 0
    at: int = _PAGE // 2

    def __post_init__(self) -> None:
        super().__post_init__()
        table_name(self.table)
        if self.page < 0:
            raise ConfigError(f"page={self.page}: the first is 0")
        if not 0 <= self.at <= _PAGE - _BYTES:
            raise ConfigError(f"at={self.at}: a page has {_PAGE} bytes, of which {_BYTES} are inverted")

    def plan(self, site: Site) -> Undo:
        """Finds the file; InjectionError without checksums, or if the table has no such page."""
        names = containers(site, self.target)
        files, failures = {}, {}
        for name in names:
            self.primary(site, name)
            try:
                seen = self.ask(site, name, _FIND.format(name=literal(self.table), size=_PAGE))
                failures[name] = int(self.ask(site, name, _FAILURES))
            except PlatformError as error:
                raise InjectionError(str(error)) from error
            checksums, pages, files[name] = seen.split("|")
            if checksums != "on":
                raise InjectionError(f"{name} has no checksums: a corrupted page would be read as it is")
            if self.page >= int(pages):
                raise InjectionError(
                    f"{name}: {self.table} has {pages} pages, from 0: there is no {self.page}"
                )
            if self.page >= (1 << 30) // _PAGE:
                raise InjectionError("only the first gigabyte of a table can be corrupted")
        return Undo(self.kind, site.run_id, names, {"files": files, "failures": failures}, NOTHING)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, file in undo.data["files"].items():
            script = _STRIKE.format(
                table=self.table,
                name=literal(self.table),
                page=self.page,
                file=file,
                offset=self.page * _PAGE + self.at,
                invert=_INVERT,
            )
            words = [*self.client, "-d", self.database, "-AtqX"]
            shell(site.platform, name, 's=$1; shift; printf %s "$s" | "$@"', script, *words, timeout=60)

    def bite(self, site: Site, undo: Undo) -> str:
        """To read the whole table fails with an invalid page, or one is counted by a server that goes on."""
        told = f"{', '.join(undo.targets)}: invalid page in block {self.page} of {self.table}"
        for name in undo.targets:
            try:
                self.ask(site, name, f"SELECT count(*) FROM {self.table} AS t WHERE t::text IS NOT NULL")
            except PlatformError as error:
                if not re.search(rf"invalid page in block {self.page}\b", str(error)):
                    raise
            else:
                # With ignore_checksum_failure on; whoever read the page first left it in memory.
                if int(self.ask(site, name, _FAILURES)) <= undo.data["failures"][name]:
                    raise BiteError(f"{name}: {self.table} can be read")
                told += f"; {name} counts it, and reads it all the same"
        return told


@constructor
def page_corrupted(
    target: str,
    table: str,
    page: int = 0,
    at: int = _PAGE // 2,
    database: str = "postgres",
    psql: str = PSQL,
    **options: Unpack[Options],
) -> PageCorrupted:
    """Corrupt a page on disk: `page_corrupted("postgres.primary", "turns", page=2, database="app")`."""
    return PageCorrupted(target, table, page, at, database=database, psql=psql, **options)
