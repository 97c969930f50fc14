"""WAL archiving fails: segments pile up on the primary, and the backup falls behind by more every minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._containers import containers, on_each
from blackstart.faults._inside import by_hand
from blackstart.faults._postgres import PSQL, PostgresFault, ask, literal
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, InjectionError
from blackstart.model.modes import Mode

_RELOAD = "SELECT pg_reload_conf()"
_FAILED = "SELECT failed_count FROM pg_stat_archiver"
# What ALTER SYSTEM said before; no row if it said nothing.
_BEFORE = (
    "SELECT setting FROM pg_file_settings "
    "WHERE name = 'archive_command' AND sourcefile LIKE '%postgresql.auto.conf'"
)


@register
@dataclass(frozen=True)
class ArchivingFails(PostgresFault):
    """Set `archive_command` of `target` to `command_that_fails`, by ALTER SYSTEM.

    A server that does not archive, or does it by a library, is refused.
    """

    kind: ClassVar[str] = "archiving_fails"
    mode: ClassVar[Mode] = Mode.DATA
    expires_in_place: ClassVar[bool] = True
    persistent: ClassVar[bool] = True
    bite_limit: ClassVar[float] = 15.0

    command_that_fails: str = "false"

    def plan(self, site: Site) -> Undo:
        """Records the setting and the failures so far."""
        names = containers(site, self.target)
        before: dict[str, Any] = {}
        failed = {}
        for name in names:
            self.primary(site, name)
            mode, command = self.ask(
                site, name, "SELECT current_setting('archive_mode'), current_setting('archive_command')"
            ).split("|", 1)
            if mode == "off" or not command:
                raise InjectionError(
                    f"{name} archives nothing by command: archive_mode is {mode}, archive_command {command!r}"
                )
            # A setting can be the empty string, hence the mark.
            said = self.ask(site, name, _BEFORE.replace("SELECT setting", "SELECT '=' || setting"))
            before[name] = {"altered": said[1:] if said else None, "command": command}
            failed[name] = int(self.ask(site, name, _FAILED))
        data = {"psql": self.client, "before": before, "failed": failed}
        expiry = {name: _words(self.client, _restoring(was)) for name, was in before.items()}
        manual = by_hand(expiry)
        return Undo(self.kind, site.run_id, names, data, manual, expiry)

    def inject(self, site: Site, undo: Undo) -> None:
        """Sets it, and has a segment to be archived."""
        for name in undo.targets:
            self.ask(
                site,
                name,
                f"ALTER SYSTEM SET archive_command = {literal(self.command_that_fails)}",
                _RELOAD,
                "SELECT pg_logical_emit_message(false, 'blackstart', 'something to archive')",
                "SELECT pg_switch_wal()",
            )

    def bite(self, site: Site, undo: Undo) -> str:
        """The server has counted a failure to archive."""
        felt = []
        for name, before in undo.data["failed"].items():
            if (failed := int(self.ask(site, name, _FAILED))) <= before:
                raise BiteError(f"{name}: archiving has not failed yet")
            felt.append(f"{name}: archiving failed {failed - before} times")
        return ", ".join(felt)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Put back what ALTER SYSTEM said before."""
        before = undo.data["before"]
        on_each(before, lambda name: ask(platform, name, undo.data["psql"], *_restoring(before[name])))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The command in force is the one of before."""
        for name, before in undo.data["before"].items():
            now = ask(platform, name, undo.data["psql"], "SHOW archive_command")
            if now != before["command"]:
                return f"{name}: archive_command is {now!r}"
        return None


def _restoring(before: Mapping[str, Any]) -> list[str]:
    """The statements that put back what was there."""
    if before["altered"] is None:
        return ["ALTER SYSTEM RESET archive_command", _RELOAD]
    return [f"ALTER SYSTEM SET archive_command = {literal(before['altered'])}", _RELOAD]


def _words(psql: Sequence[str], sql: Sequence[str]) -> list[str]:
    return [*psql, "-AtqX", *(word for statement in sql for word in ("-c", statement))]


@constructor
def archiving_fails(
    target: str = "postgres.primary",
    command_that_fails: str = "false",
    psql: str = PSQL,
    **options: Unpack[Options],
) -> ArchivingFails:
    """Have the archiving of WAL fail: `archiving_fails("postgres.primary")`."""
    return ArchivingFails(target, command_that_fails, psql=psql, **options)
