"""Episodes: faults that overlap or touch are one disturbance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blackstart.history.records import FaultSpan


@dataclass(frozen=True, slots=True)
class Episode:
    """From the first begin to the last end of overlapping faults, ns; `next` is the next episode's begin."""

    begin: int
    end: int
    next: int | None = None


def episodes(faults: Iterable[FaultSpan], history_end: int) -> list[Episode]:
    """Merge faults into episodes, in order; a missing end lasts to `history_end`, ns."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted((f.begin, _end(f, history_end)) for f in faults):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return [
        Episode(begin, end, merged[n][0] if n < len(merged) else None)
        for n, (begin, end) in enumerate(merged, start=1)
    ]


def _end(fault: FaultSpan, history_end: int) -> int:
    return max(fault.begin, history_end) if fault.end is None else fault.end
