"""What the faults share that are a process of ours inside the target's container: a hog, a holder."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults import _helpers
from blackstart.faults._containers import containers, on_each
from blackstart.faults._inside import by_hand, run, shell
from blackstart.faults.base import Fault, Platform, Site, Undo, fresh_id


@dataclass(frozen=True)
class HeldFault(Fault):
    """A process in each container of `target`; to end it is to undo the fault.

    Its command line holds a tag, by which it is found again. The images need `sh`, `setsid` and `pgrep`.
    """

    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    expires_in_place: ClassVar[bool] = True

    target: str

    def plan(self, site: Site) -> Undo:
        """See Fault.plan."""
        names = containers(site, self.target)
        id = fresh_id()
        tag = _helpers.tagged(self.kind, id)
        data = {"tag": tag, **self.details(site, names)}
        ending = _helpers.ending(tag)
        expiry = dict.fromkeys(names, ending)
        # A container that dies of it takes the process along, and is to be started.
        start = f"docker start {shlex.join(names)}; " if self.holds_down else ""
        return Undo(self.kind, site.run_id, names, data, start + by_hand(expiry), expiry, id)

    def details(self, site: Site, names: tuple[str, ...]) -> dict[str, Any]:
        """What else the record holds; InjectionError if the fault cannot be there."""
        return {}

    @abstractmethod
    def command(self, name: str, data: Mapping[str, Any]) -> list[str]:
        """The process (argv) for that container; `data["tag"]` must be one of its words."""

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            run(site.platform, name, _helpers.launching(*self.command(name, undo.data)))

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """End the processes; start a container that is down, which took its own along."""

        def end(name: str) -> None:
            if platform.is_running(name):
                # One that holds much takes a while to be gone: `undone` waits for that.
                platform.exec(name, _helpers.ending(undo.data["tag"]))
            else:
                platform.start(name)

        on_each(undo.targets, end)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        for name in undo.targets:
            if not platform.is_running(name):
                return f"{name} is down"
            if left := shell(
                platform, name, 'pgrep -f "$1" || :', _helpers.pattern(undo.data["tag"])
            ).split():
                return f"{name} still has a {cls.kind}: pids {', '.join(left)}"
        return None
