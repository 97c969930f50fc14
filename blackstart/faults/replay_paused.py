"""Replay paused: a standby receives what the primary writes, and shows none of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers, on_each
from blackstart.faults._inside import by_hand
from blackstart.faults._postgres import PSQL, PostgresFault, ask
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, InjectionError, PlatformError
from blackstart.model.modes import Mode

_PAUSE = "SELECT pg_wal_replay_pause()"
# One that has been promoted meanwhile replays nothing any more.
_RESUME = "SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()"
_STATE = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() ELSE 'no standby' END"


@register
@dataclass(frozen=True)
class ReplayPaused(PostgresFault):
    """Pause the replay of each `target`: what a long query on a standby does, or one that is too slow.

    Synchronous commits go on, as the standby still receives and keeps what it is sent; its readers fall
    behind by a second every second.
    """

    kind: ClassVar[str] = "replay_paused"
    mode: ClassVar[Mode] = Mode.SLOW
    expires_in_place: ClassVar[bool] = True

    def plan(self, site: Site) -> Undo:
        """InjectionError unless each is a standby that replays."""
        names = containers(site, self.target)
        for name in names:
            try:
                state = self.ask(site, name, _STATE)
            except PlatformError as error:
                raise InjectionError(str(error)) from error
            if state != "not paused":
                raise InjectionError(f"{name}: its replay is: {state}; strike a standby that replays")
        expiry = {name: [*self.command, "-AtqX", "-c", _RESUME] for name in names}
        data = {"psql": self.command}
        return Undo(self.kind, site.run_id, names, data, by_hand(expiry), expiry)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            self.ask(site, name, _PAUSE)

    def bite(self, site: Site, undo: Undo) -> str:
        """The server says that it has paused."""
        for name in undo.targets:
            if (state := self.ask(site, name, _STATE)) != "paused":
                raise BiteError(f"{name}: its replay is: {state}")
        return f"{', '.join(undo.targets)}: replay is paused"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Have it go on; a server that was started anew meanwhile does so by itself."""

        def resume(name: str) -> None:
            if platform.is_running(name):
                ask(platform, name, undo.data["psql"], _RESUME)

        on_each(undo.targets, resume)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """It replays, or is no standby any more."""
        for name in undo.targets:
            if not platform.is_running(name):
                return f"{name} is down"
            if (state := ask(platform, name, undo.data["psql"], _STATE)) not in ("not paused", "no standby"):
                return f"{name}: its replay is: {state}"
        return None


@constructor
def replay_paused(
    target: str = "postgres.replica", psql: str = PSQL, **options: Unpack[Options]
) -> ReplayPaused:
    """Let a standby fall behind: `replay_paused("postgres.replica")`."""
    return ReplayPaused(target, psql=psql, **options)
