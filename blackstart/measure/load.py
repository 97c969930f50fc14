"""The load of a history: its operations without the closing reads, in the order that measures use."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from blackstart.history.records import History

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """Operations by number, ordered by intended time, then invoke, then line.

    `end` is the last invoke or completion of any of them, ns; 0 without load.
    """

    history: History
    by_due: Sequence[int]
    by_kind: dict[int, list[int]]
    end: int

    def between(self, begin: int, end: int) -> Sequence[int]:
        """The operations due from `begin` up to but not including `end`, ns."""
        due = self.history.intended.__getitem__
        return self.by_due[bisect_left(self.by_due, begin, key=due) : bisect_left(self.by_due, end, key=due)]

    @property
    def last_due(self) -> int:
        """When the last operation was due, ns; -1 without load."""
        return self.history.intended[self.by_due[-1]] if self.by_due else -1


def load_of(history: History) -> Load:
    """Order the operations of `history` that are load."""
    final, kinds = history.final, history.kind
    # Numbers follow invoke time, then line, and the sort is stable.
    by_due = sorted((op for op in range(len(history)) if not final[op]), key=history.intended.__getitem__)
    by_kind: dict[int, list[int]] = {}
    for op in by_due:
        by_kind.setdefault(kinds[op], []).append(op)
    end = max((max(history.invoked[op], history.completed[op]) for op in by_due), default=0)
    return Load(history, by_due, by_kind, end)
