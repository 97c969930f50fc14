"""The map of what has been drilled: places by failure modes, and what a drill there would be worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from blackstart.coverage.places import Place
from blackstart.model.modes import Mode
from blackstart.model.verdict import Verdict

#: The clients of a stack count as so many instances that depend on a place.
CLIENTS = 5
#: A place that no drill strikes in any mode is worth so many times as much.
NEVER = 2


class State(StrEnum):
    """What is known of a cell, the worst first; `IDLE`: no registered fault can bring that about there."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    UNRUN = "never run"
    PASS = "pass"
    HOLE = "hole"
    IDLE = "no fault"


@dataclass(frozen=True)
class LastRun:
    """The last run of a drill: its verdict, when it began, how its controls fared (worst; None: not run)."""

    verdict: Verdict
    started: datetime
    run_id: str
    control: Verdict | None = None


@dataclass(frozen=True)
class Strike:
    """That a drill strikes a place: with which fault (a call in words), and its last run if there was one.

    `seen` says that this is known from the last run, not from the test: it was for the running stack to tell.
    """

    drill: str
    runbook: str
    ends: tuple[str, ...]
    mode: Mode
    fault: str
    last: LastRun | None = None
    seen: bool = False

    @property
    def state(self) -> State:
        """The verdict of the last run, if there was one."""
        return State(self.last.verdict.value) if self.last else State.UNRUN


@dataclass(frozen=True)
class Cell:
    """A place in a failure mode. `call` is an example of a fault that would fill a hole."""

    place: Place
    mode: Mode
    strikes: tuple[Strike, ...]
    call: str | None
    value: float

    @property
    def state(self) -> State:
        """The worst of its drills; hole or idle without one."""
        order = list(State)
        states = [strike.state for strike in self.strikes]
        if states:
            return min(states, key=order.index)
        return State.HOLE if self.call else State.IDLE

    @property
    def started(self) -> datetime | None:
        """When the oldest of its drills' last runs began: the cell is no fresher than that."""
        return min((s.last.started for s in self.strikes if s.last), default=None)


@dataclass(frozen=True)
class Hole:
    """A place with the modes that no drill covers, ranked; `why` is the value in words."""

    rank: int
    place: Place
    cells: tuple[Cell, ...]
    value: float
    why: str


@dataclass(frozen=True)
class Coverage:
    """The map: `rows` hold a cell for each of `modes`, components before edges, what most depends on first.

    `notes`: what could not be placed, and why.
    """

    stack: str
    modes: tuple[Mode, ...]
    rows: tuple[tuple[Place, tuple[Cell, ...]], ...]
    holes: tuple[Hole, ...]
    now: datetime
    notes: tuple[str, ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """All cells in which something can happen."""
        return [c for _, cells in self.rows for c in cells if c.state is not State.IDLE]

    def count(self, *states: State) -> int:
        """How many cells are in one of these states."""
        return sum(c.state in states for c in self.cells)

    @property
    def untouched(self) -> list[Place]:
        """The places that no drill strikes in any mode."""
        return [place for place, cells in self.rows if not any(c.strikes for c in cells)]


def value(place: Place, drilled: bool) -> float:
    """What a drill of a place in a mode that none covers is worth; a ranking, without unit.

    (D + C) / N × U, where D is how many instances depend on the place, directly or through others; C is 5 if
    the stack's clients are behind them, since they are whom it is for; N is how many instances share the
    place's work (1: nothing stands in); U is 2 if no drill strikes the place in any mode, else 1: the first
    drill somewhere teaches the most. All modes count the same: nothing declared says which is likelier.
    """
    reach = len(place.dependents) + (CLIENTS if place.clients else 0)
    return reach / place.instances * (1 if drilled else NEVER)


def coverage(
    stack: str,
    places: Sequence[Place],
    possible: Mapping[tuple[tuple[str, ...], Mode], str],
    strikes: Iterable[Strike],
    now: datetime,
    notes: Sequence[str] = (),
) -> Coverage:
    """Build the map. `possible`: by a place's ends and a mode, the call of a fault that would bring it about.

    A column is a mode that a registered fault or a drill has.
    """
    struck = list(strikes)
    wanted = {mode for _, mode in possible} | {strike.mode for strike in struck}
    modes = tuple(mode for mode in Mode if mode in wanted)
    rows = []
    for place in places:
        here = [s for s in struck if s.ends == place.ends]
        worth = value(place, bool(here))
        cells = tuple(
            Cell(place, m, tuple(s for s in here if s.mode is m), possible.get((place.ends, m)), worth)
            for m in modes
        )
        rows.append((place, cells))
    rows.sort(key=lambda row: (row[0].is_edge, -value(row[0], drilled=True)))
    return Coverage(stack, modes, tuple(rows), _holes(rows), now, tuple(notes))


def _holes(rows: Iterable[tuple[Place, tuple[Cell, ...]]]) -> tuple[Hole, ...]:
    """One a place, the most valuable first; equals stay in the order of the map."""
    found = []
    for place, cells in rows:
        if still := tuple(c for c in cells if c.state is State.HOLE):
            found.append((place, still, any(c.strikes for c in cells)))
    found.sort(key=lambda hole: -hole[1][0].value)
    return tuple(
        Hole(n, place, cells, cells[0].value, _why(place, drilled))
        for n, (place, cells, drilled) in enumerate(found, 1)
    )


def _why(place: Place, drilled: bool) -> str:
    who = [f"{len(place.dependents)} instances"] if place.dependents else []
    who += ["the clients"] if place.clients else []
    alone = "nothing stands in" if place.instances == 1 else f"{place.instances} share the work"
    told = f"{' and '.join(who) or 'nobody'} behind it; {alone}"
    return told if drilled else f"{told}; never drilled"


def to_dict(found: Coverage) -> dict[str, Any]:
    """The map for machines: every cell, every hole with its value, times as RFC 3339."""
    return {
        "stack": found.stack,
        "at": found.now.isoformat(),
        "modes": [{"mode": m.value, "meaning": m.meaning} for m in found.modes],
        "cells": [_cell(cell) for _, cells in found.rows for cell in cells],
        "holes": [
            {
                "rank": hole.rank,
                "place": hole.place.name,
                "modes": [cell.mode.value for cell in hole.cells],
                "calls": [cell.call for cell in hole.cells],
                "value": round(hole.value, 3),
                "why": hole.why,
            }
            for hole in found.holes
        ],
        "notes": list(found.notes),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "place": cell.place.name,
        "edge": cell.place.is_edge,
        "mode": cell.mode.value,
        "state": cell.state.value,
        "dependents": list(cell.place.dependents),
        "call": cell.call,
        "drills": [
            {
                "drill": s.drill,
                "fault": s.fault,
                "runbook": s.runbook,
                "verdict": s.last.verdict.value if s.last else None,
                "started": s.last.started.isoformat() if s.last else None,
                "run_id": s.last.run_id if s.last else None,
                "control": s.last.control.value if s.last and s.last.control else None,
                "known_from": "the last run" if s.seen else "the test",
            }
            for s in cell.strikes
        ],
    }
