"""Stop: a container is asked to end, as by an orderly shutdown, a deployment or a drained node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import EndedFault, at_once
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import BiteError

#: The exit code of what was ended by SIGKILL.
KILLED = 137


@register
@dataclass(frozen=True)
class Stop(EndedFault):
    """SIGTERM to the service's container, and SIGKILL to what still runs after `timeout` (whole seconds)."""

    kind: ClassVar[str] = "stop"

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


@constructor
def stop(target: str, timeout: Duration = "10s", **options: Unpack[Options]) -> Stop:
    """Shut `target` down in order: `stop("app-1", timeout="30s")`."""
    return Stop(target, timeout, **options)
