"""Clock drift: the wall clock of a service runs fast or slow, and is more wrong every second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults import _helpers
from blackstart.faults._clock import SET, ClockFault, checked, off_by
from blackstart.faults._inside import run
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode

# By the kernel's uptime, which nobody fakes. (libfaketime's own rate counts from the start of each process.)
_DRIFT = SET + (
    "read began _ </proc/uptime; while :; do read now _ </proc/uptime; "
    """set_to "$1" "$(awk "BEGIN { printf \\"%+.6f\\", ($now - $began) * $2 }")"; sleep 0.1; done"""
)
#: Seconds off that show a drift.
_FELT_S = 0.05


@register
@dataclass(frozen=True)
class ClockDrift(ClockFault):
    """Let the wall clock gain `rate` seconds a second (0.01 is 1 %; negative: lose), in steps of 0.1 s.

    A service that caches libfaketime's file follows in larger steps. The undo sets the clock right.
    """

    kind: ClassVar[str] = "clock_drift"
    mode: ClassVar[Mode] = Mode.CLOCK
    rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        checked(self.rate, 10, "a rate of")
        if abs(self.rate) < 0.002:
            raise ConfigError(f"a rate of {self.rate:g} takes too long to show; valid are 0.002 and more")

    @property
    def bite_limit(self) -> float:  # type: ignore[override]  # here it depends on the parameters
        """Until the drift is to be seen, and 5 s."""
        return 5.0 + _FELT_S / abs(self.rate)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, clock in undo.data["clocks"].items():
            words = clock["FAKETIME_TIMESTAMP_FILE"], f"{self.rate:f}"
            run(site.platform, name, _helpers.starting(undo.data["tag"], _DRIFT, *words))

    def bite(self, site: Site, undo: Undo) -> str:
        """In each container the clock is off the way that it drifts."""
        seen = []
        for name, clock in undo.data["clocks"].items():
            off = off_by(site.platform, name, clock)
            if off * self.rate <= 0 or abs(off) < _FELT_S:
                raise BiteError(f"{name}: the clock is {off:+.3f} s off")
            seen.append(f"{name}: the clock is {off:+.2f} s off by now")
        return ", ".join(seen)


@constructor
def clock_drift(target: str, rate: float = 0.1, **options: Unpack[Options]) -> ClockDrift:
    """Have the wall clock of `target` run fast or slow: `clock_drift("app-1", rate=-0.02)`."""
    return ClockDrift(target, rate, **options)
