"""Before, during and after: availability and latency by intended time, all kinds pooled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blackstart.history.records import OK
from blackstart.measure.availability import availability
from blackstart.measure.episodes import Episode
from blackstart.measure.latency import Quantiles, quantiles
from blackstart.measure.load import Load
from blackstart.measure.rto import Recovery

PHASES = ("before", "during", "after")


@dataclass(frozen=True, slots=True)
class Phase:
    """Availability (None when nothing was due) and latency of one phase."""

    availability: float | None
    latency: Quantiles


def phases(load: Load, spans: Sequence[Episode], found: Iterable[Recovery]) -> dict[str, Phase]:
    """The three phases by name; without a fault everything is before."""
    if not spans:
        parts: tuple[Sequence[int], ...] = (load.by_due, (), ())
    else:
        begin = spans[0].begin
        end = max([*(e.end for e in spans), *(r.begin + r.hi for r in found)])
        parts = (
            load.between(0, begin),
            load.between(begin, end),
            load.between(max(begin, end), load.last_due + 1),
        )
    return {name: _phase(load, ops) for name, ops in zip(PHASES, parts, strict=True)}


def _phase(load: Load, ops: Sequence[int]) -> Phase:
    history = load.history
    status, intended, completed = history.status, history.intended, history.completed
    waits = [completed[op] - intended[op] for op in ops if status[op] == OK]
    return Phase(availability(len(waits), len(ops)), quantiles(waits))
