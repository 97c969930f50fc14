"""Clock offset: the wall clock of a service steps by so much, and stays off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._clock import SET, ClockFault, checked, off_by, signed
from blackstart.faults._inside import shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.durations import Duration
from blackstart.model.errors import BiteError
from blackstart.model.modes import Mode

#: Ten years, in seconds.
_LIMIT_S = 10 * 365 * 86400.0


@register
@dataclass(frozen=True)
class ClockOffset(ClockFault):
    """Step the wall clock by `by`, ahead or (with a minus: "-90s") back; the undo steps it back to right."""

    kind: ClassVar[str] = "clock_offset"
    mode: ClassVar[Mode] = Mode.CLOCK

    by: Duration = "1h"

    def __post_init__(self) -> None:
        super().__post_init__()
        checked(signed(self.by), _LIMIT_S, "an offset in seconds of")

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, clock in undo.data["clocks"].items():
            offset = f"{signed(self.by):+.6f}"
            shell(site.platform, name, SET + 'set_to "$1" "$2"', clock["FAKETIME_TIMESTAMP_FILE"], offset)

    def bite(self, site: Site, undo: Undo) -> str:
        """What is started as the service is, in each container, has a clock that is off by that much."""
        seen = []
        for name, clock in undo.data["clocks"].items():
            if abs((off := off_by(site.platform, name, clock)) - signed(self.by)) > 0.5:
                raise BiteError(f"{name}: the clock is {off:+.1f} s off")
            seen.append(f"{name}: the clock is {off:+.1f} s off")
        return ", ".join(seen)


@constructor
def clock_offset(target: str, by: Duration = "1h", **options: Unpack[Options]) -> ClockOffset:
    """Set the wall clock of `target` wrong: `clock_offset("app-1", by="-5m")`."""
    return ClockOffset(target, by, **options)
