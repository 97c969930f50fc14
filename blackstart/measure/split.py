"""Where the time of a recovery went: to the first step, by the phases of the steps, to the clients; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from blackstart.measure.followed import RunbookStep
from blackstart.model.recovery import DETECT, PHASES

#: Steps without a phase and the time between steps; from the last step until clients were served.
OTHER, CLIENTS = "other", "clients"
ORDER = (*PHASES, OTHER, CLIENTS)
#: Seconds between two steps from which on they are time of their own; what is less goes to the later one.
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of the recovery, in seconds after the fault's begin; `step` is what was done, if anything."""

    phase: str
    begin: float
    end: float
    step: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """The recovery from the episode that began at `begin` s: its legs, without gaps while clients waited.

    `hi` is the RTO's upper bound in this episode, seconds after its begin, 0 if clients felt no outage;
    `censored` if no end of the outage was seen.
    """

    begin: float
    hi: float
    censored: bool
    legs: tuple[Leg, ...]

    @property
    def end(self) -> float:
        """Seconds after the fault's begin at which the last leg ends."""
        return self.legs[-1].end

    def seconds(self) -> dict[str, float]:
        """Seconds by phase, in their order; phases that there were not are left out."""
        return _sums((leg.phase, leg.end - leg.begin) for leg in self.legs)

    def within_rto(self) -> dict[str, float]:
        """Seconds by phase until clients were well: their sum is `hi`."""
        return _sums(
            (leg.phase, min(leg.end, self.hi) - leg.begin) for leg in self.legs if leg.begin < self.hi
        )

    def to_dict(self) -> dict[str, Any]:
        """As `run.json` holds it."""
        return {
            "begin_s": round(self.begin, 3),
            "rto_hi_s": round(self.hi, 3),
            "censored": self.censored,
            "phases_s": {phase: round(s, 3) for phase, s in self.seconds().items()},
            "within_rto_s": {phase: round(s, 3) for phase, s in self.within_rto().items()},
        }


def split(
    steps: Sequence[RunbookStep], begin: float, until: float, hi: float, censored: bool = False
) -> Split | None:
    """How the recovery from the episode from `begin` to before `until` went, seconds since the start.

    Detection lasts from the fault to the first step, and through the steps of that phase. None where no step
    began in the episode.
    """
    mine = [step for step in steps if begin <= step.begin / 1e9 < until]
    if not mine:
        return None
    at = mine[0].begin / 1e9 - begin
    legs = [Leg(DETECT, 0.0, at)]
    for step in mine:
        first = step.begin / 1e9 - begin
        last = max(at, first, hi if step.end is None else step.end / 1e9 - begin)
        if first - at > PAUSE_S:
            legs += _pause(at, first, hi)
            at = first
        legs.append(Leg(step.phase if step.phase in PHASES else OTHER, at, last, step.name))
        at = last
    if hi > at:
        legs.append(Leg(CLIENTS, at, hi))
    return Split(begin, hi, censored, tuple(legs))


def _pause(begin: float, end: float, hi: float) -> list[Leg]:
    """Time between two steps; no part of the recovery from when clients were served again."""
    if hi and hi < end:
        return [Leg(CLIENTS, begin, hi)] if hi > begin else []
    return [Leg(OTHER, begin, end)]


def _sums(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for phase, taken in parts:
        found[phase] = found.get(phase, 0.0) + taken
    return {phase: found[phase] for phase in ORDER if phase in found}
