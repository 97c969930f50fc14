"""Suspend: the processes of one name stop where they are while the others of their container go on.

Patroni hangs and Postgres lives, say. To stop all of a container, freeze it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers, on_each
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.faults.kill import processes_of
from blackstart.model.errors import BiteError, InjectionError, PlatformError
from blackstart.model.modes import Mode

# Lets every process go on that was stopped, whoever did it, and names each.
_RESUME = """
command -v pgrep >/dev/null || exit 0
for p in $(pgrep -r T .); do
  name=$(cat "/proc/$p/comm") && kill -s CONT "$p" && echo "stopped $name"
done; exit 0
"""


@register
@dataclass(frozen=True)
class Suspend(Fault):
    """SIGSTOP to all processes of `target` named `process` (as `pgrep -x` knows it); SIGCONT undoes it."""

    kind: ClassVar[str] = "suspend"
    mode: ClassVar[Mode] = Mode.FROZEN
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("signal", "exec", "pause", "kill")
    expires_in_place: ClassVar[bool] = True

    target: str
    process: str

    def plan(self, site: Site) -> Undo:
        """InjectionError if there is no such process, it is PID 1, or it is stopped already."""
        names = containers(site, self.target, "there is nothing to suspend")
        for name in names:
            processes_of(site, name, self.process, "freeze the container")
            if stopped := _stopped(site.platform, name, self.process):
                raise InjectionError(f"{self.process} of {name} is stopped already: pids {stopped}")
        resume = ["pkill", "-CONT", "-x", "--", self.process]
        manual = "; ".join(f"docker exec -u 0 {n} pkill -CONT -x {self.process}" for n in names)
        data = {"process": self.process}
        return Undo(self.kind, site.run_id, names, data, manual, dict.fromkeys(names, resume), fresh_id())

    def inject(self, site: Site, undo: Undo) -> None:
        """InjectionError if they had gone by themselves since the plan."""
        for name in undo.targets:
            if not site.platform.signal_process(name, self.process, "STOP"):
                raise InjectionError(f"{name} had no process {self.process!r} any more when it was stopped")

    def bite(self, site: Site, undo: Undo) -> str:
        """All are in the state of the stopped."""
        seen = []
        for name in undo.targets:
            now = set(site.platform.pids(name, self.process))
            stopped = _stopped(site.platform, name, self.process)
            if not now or now - set(stopped):
                raise BiteError(f"{self.process} goes on in {name}: pids {sorted(now - set(stopped))}")
            seen.append(f"{len(stopped)} processes {self.process} of {name} stopped")
        return "; ".join(seen)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """SIGCONT, which a process that runs does not notice."""
        process = undo.data["process"]
        on_each(
            undo.targets,
            lambda name: platform.is_running(name) and platform.signal_process(name, process, "CONT"),
        )

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone. A container that went down took them along."""
        process = undo.data["process"]
        for name in undo.targets:
            if platform.is_running(name) and (stopped := _stopped(platform, name, process)):
                return f"{process} of {name} is still stopped: pids {stopped}"
        return None

    @classmethod
    def escalate(cls, undo: Undo, platform: Platform) -> None:
        """Restart the containers where one is still stopped."""

        def again(name: str) -> None:
            if platform.is_running(name) and _stopped(platform, name, undo.data["process"]):
                platform.kill(name)
                platform.start(name)

        on_each(undo.targets, again)


@constructor
def suspend(target: str, process: str, **options: Unpack[Options]) -> Suspend:
    """Stop one process among several: `suspend("postgres.primary", "patroni")`."""
    return Suspend(target, process, **options)


def resume_all(platform: Platform, container: str) -> list[str]:
    """Let every stopped process of the container go on; their names."""
    told = platform.exec(container, ["sh", "-c", _RESUME]).output.splitlines()
    return [line.removeprefix("stopped ") for line in told if line.startswith("stopped ")]


def _stopped(platform: Platform, name: str, process: str) -> list[int]:
    told = platform.exec(name, ["pgrep", "-x", "-r", "T", "--", process])
    if told.code not in (0, 1):
        raise PlatformError(f"{name}: pgrep failed: {told.output.strip()}")
    return [int(word) for word in told.output.split()] if told.code == 0 else []
