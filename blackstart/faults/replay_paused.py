"""Replay paused: a standby receives what the primary writes, and shows none of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers, on_each
from blackstart.faults._inside import by_hand
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, InjectionError, PlatformError
from blackstart.model.modes import Mode

#: The process that replays, by its title; a primary has none.
_STARTUP = "^postgres: (.*: )?startup( |$)"


@register
@dataclass(frozen=True)
class ReplayPaused(Fault):
    """Stop the process that replays on each `target`: what a long query on a standby does, or a slow disk.

    Synchronous commits go on, as the standby still receives and keeps what it is sent; its readers fall
    behind by a second every second. Not by `pg_wal_replay_pause()`: from Postgres 14 on, Patroni takes that
    back within its `loop_wait`.
    """

    kind: ClassVar[str] = "replay_paused"
    mode: ClassVar[Mode] = Mode.SLOW
    capabilities: ClassVar[tuple[str, ...]] = ("exec",)
    expires_in_place: ClassVar[bool] = True

    target: str = "postgres.replica"

    def plan(self, site: Site) -> Undo:
        """InjectionError unless each is a standby that replays."""
        names = containers(site, self.target)
        for name in names:
            if not _startups(site.platform, name):
                raise InjectionError(f"{name} replays nothing: it is no standby")
            if stopped := _startups(site.platform, name, stopped=True):
                raise InjectionError(f"{name}: its replay is paused already: pid {stopped}")
        expiry = {name: ["pkill", "-CONT", "-f", "--", _STARTUP] for name in names}
        return Undo(self.kind, site.run_id, names, {}, by_hand(expiry), expiry)

    def inject(self, site: Site, undo: Undo) -> None:
        """InjectionError if one was promoted or ended since the plan."""
        for name in undo.targets:
            if site.platform.exec(name, ["pkill", "-STOP", "-f", "--", _STARTUP]).code != 0:
                raise InjectionError(f"{name} replays nothing any more")

    def bite(self, site: Site, undo: Undo) -> str:
        """The process is in the state of the stopped."""
        for name in undo.targets:
            now = _startups(site.platform, name)
            if not now or now != _startups(site.platform, name, stopped=True):
                raise BiteError(f"{name}: its replay goes on")
        return f"{', '.join(undo.targets)}: replay is paused"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Have it go on; a server that was started anew meanwhile does so by itself."""

        def resume(name: str) -> None:
            if platform.is_running(name):
                platform.exec(name, ["pkill", "-CONT", "-f", "--", _STARTUP])

        on_each(undo.targets, resume)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """It replays, or is no standby any more."""
        for name in undo.targets:
            if not platform.is_running(name):
                return f"{name} is down"
            if stopped := _startups(platform, name, stopped=True):
                return f"{name}: its replay is paused: pid {stopped}"
        return None


@constructor
def replay_paused(target: str = "postgres.replica", **options: Unpack[Options]) -> ReplayPaused:
    """Let a standby fall behind: `replay_paused("postgres.replica")`."""
    return ReplayPaused(target, **options)


def _startups(platform: Platform, name: str, *, stopped: bool = False) -> str:
    """The pid of the process that replays, of a stopped one only if asked so; none is ''."""
    told = platform.exec(name, ["pgrep", *(["-r", "T"] if stopped else []), "-f", "--", _STARTUP])
    if told.code not in (0, 1):
        raise PlatformError(f"pgrep in {name} ended with {told.code}: {told.output.strip()}")
    return told.output.strip()
