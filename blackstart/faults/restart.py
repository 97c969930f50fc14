"""Restart: a container ends and comes back at once, as in a rolling deployment. Its end is its undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import EndedFault, at_once
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import BiteError


@register
@dataclass(frozen=True)
class Restart(EndedFault):
    """SIGTERM to the service's container, SIGKILL after `timeout` (whole seconds), and a start right then."""

    kind: ClassVar[str] = "restart"
    lasts: ClassVar[bool] = False

    def inject(self, site: Site, undo: Undo) -> None:
        """Returns once all have been started anew."""

        def again(name: str) -> None:
            site.platform.stop(name, seconds(self.timeout))
            site.platform.start(name)

        at_once(undo.targets, again)

    def bite(self, site: Site, undo: Undo) -> str:
        """Each has been started since the plan."""
        for name, life in undo.data["lives"].items():
            if site.platform.started(name) == life:
                raise BiteError(f"{name} is still in the life of {life}")
        return f"started anew: {', '.join(undo.targets)}"


@constructor
def restart(target: str, timeout: Duration = "10s", **options: Unpack[Options]) -> Restart:
    """Restart the container of `target`: `restart("app[zone=b]")`."""
    return Restart(target, timeout, **options)
