"""What a run's two files say, as columns: a million lines must fit and be quick to walk."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: Keys and ids of the ledger; 1 is not "1".
Name = str | int

#: Outcome of an operation in `History.status`. An invoke without completion is INFO.
OK, FAIL, INFO = 0, 1, 2

#: `History.completed` and `History.completed_line` of an operation that never completed.
NEVER = -1


class Node(NamedTuple):
    """Who acknowledged a write: node, its term (it only grows), and the system that the term belongs to."""

    id: Name | None
    term: int
    system: Name | None


class Read(NamedTuple):
    """An ok that showed what a key holds: operation, index of its ok line, key, and the entries it holds."""

    op: int
    ok_index: int
    key: int
    entries: array[int]


def _column() -> array[int]:
    return array("q")


@dataclass(slots=True)
class History:
    """All operations, numbered in the order of their invoke lines; times in ns since the start.

    Because time never decreases, that order is also the order by invoke time, then line.
    The ledger is stored by number: a key is a position in `keys`, an entry (an id under a key) one in
    `entry_id` and `entry_key`. The columns `write_…` have one row for every attempt to write: its operation,
    entry, and who acknowledged it, a position in `nodes` (NEVER if nobody did, or did not name a term).
    `degraded` holds, by operation, the set of degradations that its answer named, empty or not.
    """

    kinds: list[str] = field(default_factory=list)
    kind: array[int] = field(default_factory=_column)
    status: bytearray = field(default_factory=bytearray)
    final: bytearray = field(default_factory=bytearray)
    intended: array[int] = field(default_factory=_column)
    invoked: array[int] = field(default_factory=_column)
    completed: array[int] = field(default_factory=_column)
    invoked_line: array[int] = field(default_factory=_column)
    completed_line: array[int] = field(default_factory=_column)
    keys: list[Name] = field(default_factory=list)
    entry_key: array[int] = field(default_factory=_column)
    entry_id: list[Name] = field(default_factory=list)
    write_op: array[int] = field(default_factory=_column)
    write_entry: array[int] = field(default_factory=_column)
    write_node: array[int] = field(default_factory=_column)
    nodes: list[Node] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    degraded: dict[int, tuple[str, ...]] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    end: int = 0
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(slots=True)
class FaultSpan:
    """A fault in force from `begin` to `end`, ns; None if no end was recorded."""

    fault: dict[str, Any]
    begin: int
    end: int | None = None


@dataclass(slots=True)
class Events:
    """What the events file says; `lines` are all events as written."""

    faults: list[FaultSpan] = field(default_factory=list)
    objectives: dict[str, Any] | None = None
    objectives_line: int | None = None
    gates: list[str] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
