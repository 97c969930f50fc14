"""Instances lost: services are gone with all that they held, their disks too, as when their machines burn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import at_once, on_each, refuse_down
from blackstart.faults._inside import run, shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, ConfigError, PlatformError
from blackstart.model.modes import Mode
from blackstart.model.selector import Selector
from blackstart.model.stack import Instance, Stack
from blackstart.platforms.capabilities import disk_place

#: Every instance of the stack.
ALL = "all"


@register
@dataclass(frozen=True)
class InstancesLost(Fault):
    """Remove the services' containers of `target` (a selector, or `all`) and empty their disks, all at once.

    `spared` are selectors, with commas between them, of instances that stay, as the host of the backups. What
    stays of the lost ones is their place: name, address, edges and published ports, which the machine that
    replaces one gets.

    To recover is what the drill must show, by whatever its runbook says; this fault's end is no part of that.
    Its undo makes what is missing then anew, empty: what a service does that starts without its data is its
    own business, and whether the stack gets well again that of its reset.
    """

    kind: ClassVar[str] = "instances_lost"
    mode: ClassVar[Mode] = Mode.GONE
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    # What is removed is not there after a reboot either.
    persistent: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("kill", "exec", "replace")
    lasts: ClassVar[bool] = False
    grace: ClassVar[float] = 30.0

    target: str
    spared: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target == ALL:
            # All instances are no selector: here `ends` depends on the parameter.
            object.__setattr__(self, "ends", ())

    def validate(self, stack: Stack) -> None:
        """ConfigError for a selector that means nothing, and where `spared` leaves nothing to lose."""
        super().validate(stack)
        for each in self._spared():
            Selector.parse(each).validate(stack)
        if not any(self.meant(stack)):
            raise ConfigError(f"{self.target!r} without {self.spared!r} is nothing: nothing would be lost")

    def meant(self, stack: Stack) -> tuple[tuple[Instance, ...], ...]:
        """See Fault.meant."""
        found = stack.instances if self.target == ALL else Selector.parse(self.target).candidates(stack)
        spared = [i for each in self._spared() for i in Selector.parse(each).candidates(stack)]
        return (tuple(i for i in found if i not in spared),)

    def _spared(self) -> list[str]:
        return [part.strip() for part in self.spared.split(",")] if self.spared else []

    def plan(self, site: Site) -> Undo:
        """Finds the containers and their disks; InjectionError if one is down: its undo would not be ours."""
        found = site.stack.instances if self.target == ALL else site.resolve(self.target)
        spared = [i for each in self._spared() for i in site.resolve(each)]
        lost = [i for i in found if i not in spared]
        names = tuple(site.container(i.name) for i in lost)
        refuse_down(site.platform, names, "it cannot be lost")
        disks = [disk_place(i.name, path) for i in lost for path in i.disks]
        data = {"keeper": site.keeper, "disks": disks}
        return Undo(self.kind, site.run_id, names, data, f"blackstart heal {site.run_id}")

    def inject(self, site: Site, undo: Undo) -> None:
        """The containers first: nobody is left to write to a disk that is being emptied."""
        at_once(undo.targets, site.platform.lose)
        for place in undo.data["disks"]:
            run(site.platform, undo.data["keeper"], ["find", place, "-mindepth", "1", "-delete"], timeout=30)

    def bite(self, site: Site, undo: Undo) -> str:
        """There are no such containers, and nothing is on the disks."""
        if there := [name for name in undo.targets if not site.platform.is_lost(name)]:
            raise BiteError(f"not lost: {', '.join(there)}")
        for place in undo.data["disks"]:
            if left := shell(site.platform, undo.data["keeper"], 'ls -A "$1"', place):
                raise BiteError(f"{place} still has {left}")
        empty = ", ".join(undo.data["disks"])
        return f"gone: {', '.join(undo.targets)}" + (f"; empty: {empty}" if empty else "")

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Make anew, empty, what is still missing; what was made meanwhile stays as it is."""
        on_each(undo.targets, platform.remake)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        for name in undo.targets:
            try:
                if not platform.is_running(name):
                    return f"{name} is down"
            except PlatformError as error:
                return str(error)
        return None


@constructor
def instances_lost(target: str, spared: str = "", **options: Unpack[Options]) -> InstancesLost:
    """Lose instances and disks: `instances_lost("postgres")`, or all but some: `("all", "repo-1,front")`."""
    return InstancesLost(target, spared, **options)
