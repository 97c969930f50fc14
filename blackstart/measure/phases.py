"""Before, during and after: availability and latency by intended time, all kinds pooled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blackstart.history.records import OK
from blackstart.measure.episodes import Episode
from blackstart.measure.latency import Quantiles, quantiles
from blackstart.measure.load import Load
from blackstart.measure.rto import Recovery

PHASES = ("before", "during", "after")


@dataclass(frozen=True, slots=True)
class Phase:
    """Availability (oks over operations due; None when nothing was due), latency and oks of one phase."""

    availability: float | None
    latency: Quantiles
    answers: int


def phases(load: Load, during: tuple[int, int] | None) -> dict[str, Phase]:
    """The three phases by name, from the `bounds` of "during"; without a fault everything is before."""
    if during is None:
        parts: tuple[Sequence[int], ...] = (load.by_due, (), ())
    else:
        begin, end = during
        parts = (
            load.between(0, begin),
            load.between(begin, end),
            load.between(max(begin, end), load.last_due + 1),
        )
    return {name: _phase(load, ops) for name, ops in zip(PHASES, parts, strict=True)}


def phase_of_kind(load: Load, kind: int, begin: int, end: int) -> Phase:
    """Availability and latency of one kind among what was due from `begin` up to `end`, ns."""
    return _phase(load, [op for op in load.between(begin, end) if load.history.kind[op] == kind])


def bounds(spans: Sequence[Episode], found: Iterable[Recovery]) -> tuple[int, int] | None:
    """Where "during" begins and ends, ns; None without a fault."""
    if not spans:
        return None
    return spans[0].begin, max([*(e.end for e in spans), *(r.begin + r.hi for r in found)])


def _phase(load: Load, ops: Sequence[int]) -> Phase:
    history = load.history
    status, intended, completed = history.status, history.intended, history.completed
    waits = [completed[op] - intended[op] for op in ops if status[op] == OK]
    return Phase(len(waits) / len(ops) if ops else None, quantiles(waits), len(waits))
