"""Reads `history.jsonl` and `events.jsonl`; what breaks the format raises EvidenceError with the line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from blackstart.history.collector import no_collector
from blackstart.history.lines import Malformed, exact, json_lines, shown, text, whole
from blackstart.history.parser import check_header, history_parser
from blackstart.history.records import Events, FaultSpan, History
from blackstart.model.errors import EvidenceError

__all__ = ["Events", "FaultSpan", "History", "read_events", "read_history"]


def read_history(path: str | Path) -> History:
    """Read a history; EvidenceError if it is missing or malformed. `History.notes` names a torn last line."""
    path = Path(path)
    notes: list[str] = []
    take, finish = history_parser()
    header: dict[str, Any] | None = None
    with no_collector():
        for line, raw, item in json_lines(path, notes):
            try:
                if header is None:
                    check_header(item)
                    header = item
                else:
                    take(item, line)
            except Malformed as problem:
                if header is None:
                    raise EvidenceError(str(path), str(problem), line) from None
                _again(path, line, raw, take, problem)
    if header is None:
        raise EvidenceError(str(path), "the header is missing: the file is empty")
    history = finish()
    history.header = header
    history.notes = notes
    return history


def read_events(path: str | Path) -> Events:
    """Read an events file; EvidenceError if it is missing or malformed. Empty means no fault."""
    path = Path(path)
    events = Events()
    in_force: dict[bytes, list[FaultSpan]] = {}
    last = 0
    for line, _, item in json_lines(path, events.notes):
        try:
            time = whole(item, "time")
            source, event = text(item, "source"), text(item, "event")
            if time < 0:
                raise Malformed(f"negative time {time}")
            if time < last:
                raise Malformed(f"time goes back from {last} to {time}")
            if source == "fault":
                _fault(events, in_force, item, time, event)
            elif (source, event) == ("drill", "objectives"):
                objectives = item.get("objectives")
                if type(objectives) is not dict:
                    raise Malformed(f"'objectives' must be an object, not {shown(objectives)}")
                events.objectives, events.objectives_line = objectives, line
            elif (source, event) == ("gate", "trip"):
                events.gates.append(text(item, "gate"))
        except Malformed as problem:
            raise EvidenceError(str(path), str(problem), line) from None
        last = time
        events.lines.append(item)
    return events


def _again(
    path: Path, line: int, raw: bytes, take: Callable[[dict[str, Any], int], None], problem: Malformed
) -> None:
    """Offer a refused line once more with its long integers whole, or raise what was wrong with it."""
    item = exact(raw)
    if item is None:
        raise EvidenceError(str(path), str(problem), line) from None
    try:
        take(item, line)
    except Malformed as still:
        raise EvidenceError(str(path), str(still), line) from None


def _fault(
    events: Events, in_force: dict[bytes, list[FaultSpan]], item: dict[str, Any], time: int, event: str
) -> None:
    fault = item.get("fault")
    if type(fault) is not dict:
        raise Malformed(f"'fault' must be an object, not {shown(fault)}")
    same = orjson.dumps(_plain(fault), option=orjson.OPT_SORT_KEYS)
    if event == "begin":
        span = FaultSpan(fault, time)
        events.faults.append(span)
        in_force.setdefault(same, []).append(span)
    elif event == "end":
        if not in_force.get(same):
            raise Malformed(f"the end of a fault that is not in force: {shown(fault)}")
        in_force[same].pop(0).end = time  # identical faults end oldest first
    else:
        raise Malformed(f"a fault event is begin or end, not {event!r}")


def _plain(value: Any) -> Any:
    """The same data with whole floats as integers: JSON has one kind of number, so 5.0 equals 5."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return value
