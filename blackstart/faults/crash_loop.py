"""Crash loop: a process dies again each time its supervisor brings it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults import _helpers
from blackstart.faults._containers import containers, down, on_each
from blackstart.faults._inside import run
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.faults.kill import processes_of
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode
from blackstart.platforms.waiting import GiveUp

# Kills, every so often, until its time is over. In the container it needs no process of the harness.
_LOOP = """
end=$(($(date +%s) + $3))
while [ "$(date +%s)" -lt "$end" ]; do pkill -KILL -x -- "$1"; sleep "$2"; done
"""
#: What the helper itself consists of.
_ITSELF = ("sh", "sleep", "pkill", "date")


@register
@dataclass(frozen=True)
class CrashLoop(Fault):
    """SIGKILL to all processes of `target` named `process`, again every `interval`: none lives longer.

    For a process that something in its container brings back; a container that ends with it stays down,
    which is no loop: kill that one. A helper in the container does it, for at most `max_duration` (whole
    seconds). Undone once the process is back, by its supervisor or after `grace` by a restart.
    """

    kind: ClassVar[str] = "crash_loop"
    mode: ClassVar[Mode] = Mode.GONE
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("signal", "exec", "pause", "kill")
    grace: ClassVar[float] = 20.0
    expires_in_place: ClassVar[bool] = True

    target: str
    process: str
    interval: Duration = "200ms"

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds(self.interval) < 0.05:
            raise ConfigError(f"an interval of {self.interval!r} is too short; valid is 50 ms or more")
        if self.process in _ITSELF:
            raise ConfigError(f"{self.process!r} is what the helper consists of; it cannot kill itself")

    def plan(self, site: Site) -> Undo:
        """InjectionError if there is no such process, or it is PID 1."""
        id = fresh_id()
        names = containers(site, self.target, "there is nothing to kill again and again")
        data = {
            "process": self.process,
            "helper": _helpers.tagged(self.kind, id),
            "pids": {n: processes_of(site, n, self.process, "kill the container") for n in names},
        }
        ending = _helpers.ending(str(data["helper"]))
        manual = "; ".join(f"docker restart -t 0 {name}" for name in names)
        return Undo(self.kind, site.run_id, names, data, manual, dict.fromkeys(names, ending), id)

    def inject(self, site: Site, undo: Undo) -> None:
        """Start the helpers."""
        times = f"{seconds(self.interval):.3f}", str(max(1, round(seconds(self.max_duration))))
        command = _helpers.starting(undo.data["helper"], _LOOP, self.process, *times)
        for name in undo.targets:
            run(site.platform, name, command)

    def bite(self, site: Site, undo: Undo) -> str:
        """The pids that were there before are gone, the container is not, and the helper is at work."""
        seen = []
        for name, old in undo.data["pids"].items():
            if not site.platform.is_running(name):
                raise GiveUp(f"{name} ended with its process {self.process}: nothing there brings it back")
            if not _helpers.there(site.platform, name, undo.data["helper"]):
                raise BiteError(f"{name}: its helper is gone")
            if left := sorted(set(old) & set(site.platform.pids(name, self.process))):
                raise BiteError(f"{self.process} still runs in {name}: pids {left}")
            seen.append(f"{len(old)} processes {self.process} of {name} gone, and killed when they come back")
        return "; ".join(seen)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """End the helpers, start the containers that are down."""

        def end(name: str) -> None:
            if platform.is_running(name):
                _helpers.end(platform, name, undo.data["helper"])
            else:
                platform.start(name)

        on_each(undo.targets, end)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        if wrong := down(undo.targets, platform):
            return wrong
        for name in undo.targets:
            if _helpers.there(platform, name, undo.data["helper"]):
                return f"{name}: its helper is still there"
            if not platform.pids(name, undo.data["process"]):
                return f"{undo.data['process']} is not back in {name}"
        return None

    @classmethod
    def escalate(cls, undo: Undo, platform: Platform) -> None:
        """Restart the containers that are not as they were: the helper goes with them."""

        def again(name: str) -> None:
            if platform.is_running(name) and cls._amiss(undo, platform, name):
                platform.kill(name)
            platform.start(name)

        on_each(undo.targets, again)

    @classmethod
    def _amiss(cls, undo: Undo, platform: Platform, name: str) -> bool:
        there = _helpers.there(platform, name, undo.data["helper"])
        return there or not platform.pids(name, undo.data["process"])


@constructor
def crash_loop(
    target: str, process: str, interval: Duration = "200ms", **options: Unpack[Options]
) -> CrashLoop:
    """Kill a process whenever it is back: `crash_loop("pg-1", "postgres", max_duration="30s")`."""
    return CrashLoop(target, process, interval, **options)
