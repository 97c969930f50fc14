"""What the faults share that are a process of ours inside the target's container: a hog, a holder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults._targets import containers, shell
from blackstart.faults.base import Fault, Platform, Site, Undo, fresh_id
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack

# In a session of its own, so that END can end it together with what it starts.
START = 'setsid "$@" </dev/null >/dev/null 2>&1 &'
END = 'for p in $(pgrep -f "$1"); do kill -KILL "-$p"; done; :'


@dataclass(frozen=True)
class HeldFault(Fault):
    """A process in each container of `target`; to end it is to undo the fault.

    Its command line holds a tag, by which it is found again. The images need `sh`, `setsid` and `pgrep`.
    """

    capabilities: ClassVar[tuple[str, ...]] = ("exec",)
    expires_in_place: ClassVar[bool] = True

    target: str

    def validate(self, stack: Stack) -> None:
        """See Fault.validate."""
        selector = Selector.parse(self.target)
        selector.validate(stack)
        self.needs_part(selector.candidates(stack), stack)

    def plan(self, site: Site) -> Undo:
        """See Fault.plan."""
        names = containers(site, self.target)
        id = fresh_id()
        tag = f"blackstart-{self.kind}-{id}"
        data = {"tag": tag, **self.details(site, names)}
        ending = ["sh", "-c", END, "sh", pattern(tag)]
        manual = "; ".join(f"docker exec {name} pkill -KILL -f {pattern(tag)}" for name in names)
        return Undo(self.kind, site.run_id, names, data, manual, dict.fromkeys(names, ending), id)

    def details(self, site: Site, names: tuple[str, ...]) -> dict[str, Any]:
        """What else the record holds; InjectionError if the fault cannot be there."""
        return {}

    @abstractmethod
    def command(self, name: str, data: Mapping[str, Any]) -> list[str]:
        """The process (argv) for that container; `data["tag"]` must be one of its words."""

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            shell(site.platform, name, START, *self.command(name, undo.data))

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """End the processes; a container that is down took its own along."""
        for name in undo.targets:
            if platform.is_running(name):
                shell(platform, name, END, pattern(undo.data["tag"]))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        for name in undo.targets:
            if not platform.is_running(name):
                return f"{name} is down"
            if left := shell(platform, name, 'pgrep -f "$1" || :', pattern(undo.data["tag"])).split():
                return f"{name} still has a {cls.kind}: pids {', '.join(left)}"
        return None


def pattern(tag: str) -> str:
    """What `pgrep -f` finds the tag by, and not the command that looks for it."""
    return f"[{tag[0]}]{tag[1:]}"
