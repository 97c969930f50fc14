"""Kill: every process of a name inside a container at once, or the whole container. Its end is its undo."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import kill_without, start_again
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, InjectionError
from blackstart.model.modes import Mode


@register
@dataclass(frozen=True)
class Kill(Fault):
    """SIGKILL to all processes named `process` (as `pgrep -x` knows it), or to the container where None.

    Undone once the container runs and, where a process was named, one of that name is back: by its
    supervisor, or after `grace` seconds by a restart of the container.
    """

    kind: ClassVar[str] = "kill"
    mode: ClassVar[Mode] = Mode.GONE
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("kill", "signal")
    grace: ClassVar[float] = 20.0

    target: str
    process: str | None = None

    @property
    def lasts(self) -> bool:  # type: ignore[override]  # here it depends on the parameters
        """A process has a supervisor to bring it back, a container has not."""
        return self.process is None

    def plan(self, site: Site) -> Undo:
        """Looks up who it is and which pids die; InjectionError if there is nothing to kill."""
        names = tuple(site.container(i.name) for i in site.resolve(self.target))
        pids: dict[str, list[int]] = {}
        for name in names:
            if not site.platform.is_running(name):
                raise InjectionError(f"{name} does not run: there is nothing to kill")
            if self.process is None:
                continue
            pids[name] = processes_of(site, name, self.process, "kill the container")
        # A start does nothing to a container that runs without its process.
        manual = f"docker {'restart -t 0' if self.process else 'start'} {shlex.join(names)}"
        return Undo(self.kind, site.run_id, names, {"process": self.process, "pids": pids}, manual)

    def inject(self, site: Site, undo: Undo) -> None:
        """Kill; InjectionError if all of them had gone by themselves since the plan."""
        for name in undo.targets:
            if self.process is None:
                site.platform.kill(name)
            elif not site.platform.signal_process(name, self.process, "KILL"):
                raise InjectionError(f"{name} had no process {self.process!r} any more when the kill struck")

    def bite(self, site: Site, undo: Undo) -> str:
        """The pids that were there before are gone, whoever came back in their place."""
        seen = []
        for name in undo.targets:
            running = site.platform.is_running(name)
            if self.process is None:
                if running:
                    raise BiteError(f"{name} still runs")
                seen.append(f"{name} is down")
                continue
            old = undo.data["pids"][name]
            now = list(site.platform.pids(name, self.process)) if running else []
            if left := sorted(set(old) & set(now)):
                raise BiteError(f"{self.process} still runs in {name}: pids {left}")
            seen.append(f"{len(old)} processes {self.process} of {name} gone (pids {_short(old)})")
        return "; ".join(seen)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Start the containers that are down; a supervisor brings its process back by itself."""
        start_again(undo.targets, platform)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        process = undo.data["process"]
        for name in undo.targets:
            if not platform.is_running(name):
                return f"{name} is down"
            if process is not None and not platform.pids(name, process):
                return f"{process} is not back in {name}"
        return None

    @classmethod
    def escalate(cls, undo: Undo, platform: Platform) -> None:
        """Restart the containers whose process nobody brings back."""
        if (process := undo.data["process"]) is not None:
            kill_without(process, undo.targets, platform)
        cls.undo(undo, platform)


@constructor
def kill(target: str, process: str | None = None, **options: Unpack[Options]) -> Kill:
    """Kill the processes named `process` of `target`, or its whole container: `kill("app-1")`."""
    return Kill(target, process, **options)


def processes_of(site: Site, name: str, process: str, instead: str) -> list[int]:
    """Pids of `process` in the container; InjectionError if there is none, or it is PID 1."""
    pids = list(site.platform.pids(name, process))
    if not pids:
        raise InjectionError(f"{name} has no process {process!r}; it has: {_processes(site, name)}")
    if 1 in pids:
        # The kernel drops these signals to PID 1 from inside its namespace: the fault would be a lie.
        raise InjectionError(f"{process!r} is PID 1 of {name}; {instead} instead")
    return pids


def _processes(site: Site, name: str) -> str:
    listed = site.platform.exec(name, ["ps", "-eo", "comm="])
    return (
        ", ".join(sorted(set(listed.output.split()))) if listed.code == 0 else "(unknown: no ps in its image)"
    )


def _short(pids: list[int]) -> str:
    return ", ".join(map(str, pids[:5])) + (", …" if len(pids) > 5 else "")
