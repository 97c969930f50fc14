"""A history aggregated for drawing: per kind, counts and latencies in time bins of equal width.

However long the history, a chart has at most `MAX_BINS` bins, which bounds the size of the report.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_BINS = 200
_WIDTHS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One operation, times in seconds from the start; `done` is None if it never completed.

    `write` numbers the ledger's entry that it writes, `node` is who acknowledged it and under which term,
    `degraded` what its answer named as degraded; None if it does not say.
    """

    f: str
    due: float
    invoke: float
    done: float | None
    type: str
    error: str | None = None
    write: int | None = None
    node: tuple[str, Any] | None = None
    degraded: tuple[str, ...] | None = None

    @property
    def ok(self) -> bool:
        """Whether the client got what it asked for."""
        return self.type == "ok"


@dataclass
class Bin:
    """Operations of a kind that were due in one slice of time; latencies in ms, of oks only."""

    ok: int = 0
    fail: int = 0
    info: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def due(self) -> int:
        return self.ok + self.fail + self.info

    @property
    def ratio(self) -> float:
        """Share of oks; 1.0 when nothing was due."""
        return self.ok / self.due if self.due else 1.0

    def quantile(self, q: float) -> float | None:
        """Nearest-rank quantile of the latencies in ms; None without oks."""
        if not self.latencies:
            return None
        return self.latencies[max(0, math.ceil(q * len(self.latencies)) - 1)]


@dataclass
class Kind:
    """All that is drawn of one kind of operation."""

    name: str
    bins: list[Bin]
    errors: Counter[str] = field(default_factory=Counter)
    first_bad: Sample | None = None
    ok: int = 0
    fail: int = 0
    info: int = 0

    @property
    def due(self) -> int:
        return self.ok + self.fail + self.info


@dataclass
class Acks:
    """Writes that one node acknowledged under one term: how many, from when to when, seconds."""

    node: str
    term: Any
    count: int
    first: float
    last: float
    bins: set[int] = field(default_factory=set)


@dataclass
class Mode:
    """A degradation: how many answers named it, by bin, and when the first and the last of them was due."""

    bins: Counter[int]
    first: float
    last: float

    @property
    def count(self) -> int:
        return self.bins.total()


@dataclass
class Samples:
    """The load of a run in bins of `width` seconds from 0 to `end`.

    `answers` counts by bin the answers that say what is degraded, `modes` those that name each
    degradation.
    """

    width: float
    end: float
    kinds: dict[str, Kind]
    acks: list[Acks]
    acknowledged: int
    answers: list[int]
    modes: dict[str, Mode]

    @property
    def due(self) -> int:
        return sum(k.due for k in self.kinds.values())

    @property
    def bad(self) -> int:
        return sum(k.fail + k.info for k in self.kinds.values())


def aggregate(operations: Iterable[Sample], max_bins: int = MAX_BINS) -> Samples:
    """Aggregate the operations of a load (no closing reads) by the time at which they were due."""
    ops: Sequence[Sample] = list(operations)
    end = max((max(o.invoke, o.done or 0.0, o.due) for o in ops), default=0.0)
    width = next((w for w in _WIDTHS if end / w <= max_bins), end / max_bins)
    n_bins = max(1, math.ceil(end / width + 1e-9))
    kinds: dict[str, Kind] = {}
    acks: dict[tuple[str, Any], Acks] = {}
    written: set[int] = set()
    answers, modes = [0] * n_bins, dict[str, Mode]()
    for op in ops:
        kind = kinds.get(op.f)
        if kind is None:
            kind = kinds[op.f] = Kind(op.f, [Bin() for _ in range(n_bins)])
        number = min(n_bins - 1, max(0, int(op.due / width)))
        slot = kind.bins[number]
        if op.ok and op.done is not None:
            kind.ok += 1
            slot.ok += 1
            slot.latencies.append((op.done - op.due) * 1000)
            if op.degraded is not None:
                answers[number] += 1
                for name in set(op.degraded):
                    mode = modes.setdefault(name, Mode(Counter(), op.due, op.due))
                    mode.bins[number] += 1
                    mode.first, mode.last = min(mode.first, op.due), max(mode.last, op.due)
            if op.write is not None:
                written.add(op.write)
                _acknowledge(acks, op, int(op.done / width))
        else:
            if op.type == "fail":
                kind.fail += 1
                slot.fail += 1
            else:
                kind.info += 1
                slot.info += 1
            kind.errors[op.error or ("no completion" if op.done is None else op.type)] += 1
            if kind.first_bad is None or op.invoke < kind.first_bad.invoke:
                kind.first_bad = op
    for kind in kinds.values():
        for slot in kind.bins:
            slot.latencies.sort()
    ordered = sorted(acks.values(), key=lambda a: a.first)
    return Samples(width, end, kinds, ordered, len(written), answers, modes)


def _acknowledge(acks: dict[tuple[str, Any], Acks], op: Sample, slot: int) -> None:
    if op.node is None or op.done is None:
        return
    node, term = op.node
    seen = acks.get(op.node)
    if seen is None:
        seen = acks[op.node] = Acks(node, term, 0, op.done, op.done)
    seen.count += 1
    seen.first, seen.last = min(seen.first, op.done), max(seen.last, op.done)
    seen.bins.add(slot)
