"""Outages per kind of operation: when its clients were not served, with bounds (DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blackstart.history.records import OK
from blackstart.measure.load import SECOND, Load


@dataclass(frozen=True, slots=True)
class Outage:
    """A cluster of non-oks of one kind; times in ns since the start.

    `bad` are its operations as they were due; `begin` and `last` their first and last invoke; `before` the
    completion of the last ok due before it (0 if none), `after` that of the first ok due after it (None if
    none); `load_end` stands in for `after`.
    """

    kind: int
    bad: Sequence[int]
    begin: int
    last: int
    before: int
    after: int | None
    ok_ratio: float
    load_end: int

    @property
    def end(self) -> int:
        """When the first ok due after it completed, or the end of the load."""
        return self.load_end if self.after is None else self.after

    @property
    def lo(self) -> int:
        """It surely lasted this long."""
        return self.last - self.begin

    @property
    def hi(self) -> int:
        """It lasted no longer than this."""
        return max(self.end - self.before, self.lo)

    @property
    def stray(self) -> bool:
        """A single non-ok between oks less than a second apart: counted in availability, but no outage."""
        return len(self.bad) == 1 and self.hi < SECOND


def clusters(load: Load) -> list[Outage]:
    """All maximal clusters of non-oks, strays among them: by kind, then in the order they were due."""
    return [cluster for kind, ops in load.by_kind.items() for cluster in _of_kind(load, kind, ops)]


def _of_kind(load: Load, kind: int, ops: list[int]) -> list[Outage]:
    status, due = load.history.status, load.history.intended
    found: list[Outage] = []
    first = previous = -1
    bad: list[int] = []
    for position, op in enumerate(ops):
        if status[op] == OK:
            continue
        # Neighbours with no ok between them belong together however far apart they are due.
        if bad and position - previous > 1 and due[op] - due[bad[-1]] > SECOND:
            found.append(_outage(load, kind, ops, first, previous, bad))
            bad = []
        if not bad:
            first = position
        bad.append(op)
        previous = position
    if bad:
        found.append(_outage(load, kind, ops, first, previous, bad))
    return found


def _outage(load: Load, kind: int, ops: list[int], first: int, last: int, bad: list[int]) -> Outage:
    invoked, completed = load.history.invoked, load.history.completed
    span = last - first + 1
    return Outage(
        kind=kind,
        bad=bad,
        # Numbers follow the invokes, so the smallest was invoked first.
        begin=invoked[min(bad)],
        last=invoked[max(bad)],
        # The neighbours of a maximal cluster are oks.
        before=completed[ops[first - 1]] if first else 0,
        after=completed[ops[last + 1]] if last + 1 < len(ops) else None,
        ok_ratio=(span - len(bad)) / span,
        load_end=load.end,
    )
