"""Stop: a container is asked to end, as by an orderly shutdown, a deployment or a drained node."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import at_once, containers, down, start_again
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import BiteError
from blackstart.model.modes import Mode
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack

#: The exit code of what was ended by SIGKILL.
KILLED = 137


@register
@dataclass(frozen=True)
class Stop(Fault):
    """SIGTERM to the service's container, and SIGKILL to what still runs after `timeout` (whole seconds)."""

    kind: ClassVar[str] = "stop"
    mode: ClassVar[Mode] = Mode.GONE
    takes_out: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("kill", "pause", "stop")
    grace: ClassVar[float] = 10.0

    target: str
    timeout: Duration = "10s"

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds(self.timeout)

    def validate(self, stack: Stack) -> None:
        """See Fault.validate."""
        Selector.parse(self.target).validate(stack)

    def plan(self, site: Site) -> Undo:
        """InjectionError if one does not run."""
        names = containers(site, self.target, "stop")
        return Undo(self.kind, site.run_id, names, {}, f"docker start {shlex.join(names)}")

    def inject(self, site: Site, undo: Undo) -> None:
        """Returns once all are down."""
        at_once(undo.targets, lambda name: site.platform.stop(name, seconds(self.timeout)))

    def bite(self, site: Site, undo: Undo) -> str:
        """All are down; how each ended."""
        seen = []
        for name in undo.targets:
            if site.platform.is_running(name):
                raise BiteError(f"{name} still runs")
            code = site.platform.exit_code(name)
            patience = human(seconds(self.timeout))
            seen.append(
                f"{name} had to be killed after {patience}" if code == KILLED else f"{name} ended with {code}"
            )
        return "; ".join(seen)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Start those that are down."""
        start_again(undo.targets, platform)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        return down(undo.targets, platform)


@constructor
def stop(target: str, timeout: Duration = "10s", **options: Unpack[Options]) -> Stop:
    """Shut `target` down in order: `stop("app-1", timeout="30s")`."""
    return Stop(target, timeout, **options)
