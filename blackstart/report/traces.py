"""Where single operations spent their time, by the spans that services told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import svg
from markupsafe import Markup

from blackstart.history.spans import Line
from blackstart.report import draw
from blackstart.report.draw import Span
from blackstart.report.words import listed, moment, plural, secs

#: How many of the slowest answers are shown, and how many of the first that failed.
EACH = 3
#: Spans that are drawn of one operation, the longest.
_ROWS = 16
_ROW = 30.0
_NAMED = 4
_NS = 1e9


@dataclass(frozen=True)
class Traced:
    """An operation of the load and its spans; seconds from the start. `error` is None for an ok."""

    f: str
    due: float
    done: float
    error: str | None
    spans: Sequence[Line]

    @property
    def took(self) -> float:
        """Seconds from when it was due."""
        return self.done - self.due


@dataclass(frozen=True)
class _Part:
    """A span of a trace: how deep below the first, and for how many seconds none of its children was on."""

    line: Line
    depth: int
    own: float

    @property
    def length(self) -> float:
        return float(self.line["end_ns"] - self.line["begin_ns"]) / _NS


def view(
    operations: Sequence[Traced], faults: Sequence[tuple[float, float]], zero: float
) -> dict[str, Any] | None:
    """The chosen operations with their charts and rows; None where none was traced."""
    chosen = choose(operations, faults)
    if not chosen:
        return None
    of = f"Of {plural(len(operations), 'operation')} that left a trace"
    when = "while the fault was in force" if faults else "of all"
    failed = "the first that failed since" if faults else "the first that failed"
    return {
        "caption": f"{of}: the slowest answers {when}, and {failed}. Each node's times are by its own clock.",
        "operations": [_shown(each, zero) for each in chosen],
    }


def choose(operations: Sequence[Traced], faults: Sequence[tuple[float, float]]) -> list[Traced]:
    """The slowest oks due while a fault was in force, and the first failures since; without one, of all."""
    begin = min((begin for begin, _ in faults), default=float("-inf"))
    end = max((end for _, end in faults), default=float("inf"))
    since = [each for each in operations if each.due >= begin]
    oks = [each for each in since if each.error is None and each.due <= end]
    bad = [each for each in since if each.error is not None]
    slowest = sorted(oks, key=lambda each: each.took, reverse=True)[:EACH]
    return slowest + sorted(bad, key=lambda each: each.due)[:EACH]


def _shown(each: Traced, zero: float) -> dict[str, Any]:
    parts = _parts(each.spans)
    first = min(part.line["begin_ns"] for part in parts)
    ended = (
        f"answered after {secs(each.took)}" if each.error is None else f"{each.error} after {secs(each.took)}"
    )
    title = f"{each.f} due {moment(each.due - zero)}: {ended}"
    spent = _spent(each, parts)
    longest = sorted(parts, key=lambda part: part.length, reverse=True)[:_ROWS]
    drawn = [part for part in parts if any(part is kept for kept in longest)]
    return {
        "title": title,
        "ok": each.error is None,
        "spent": spent,
        "chart": _chart(drawn, first, f"{title}. {spent}"),
        "rows": [
            [
                f"{part.line['node']}: {part.line['span']}",
                secs((part.line["begin_ns"] - first) / _NS),
                secs(part.length),
                secs(part.own),
                _trouble(part.line) or "–",
            ]
            for part in parts
        ],
    }


def _parts(spans: Sequence[Line]) -> list[_Part]:
    """Parents before their children, and these by their begin."""
    known = {span["span_id"] for span in spans}
    children: dict[str, list[Line]] = {}
    for span in sorted(spans, key=lambda span: span["begin_ns"]):
        parent = span.get("parent_id")
        above = str(parent) if parent in known and parent != span["span_id"] else ""
        children.setdefault(above, []).append(span)

    def below(parent: str, depth: int) -> Iterator[_Part]:
        for span in children.pop(parent, ()):
            inside = children.get(span["span_id"], [])
            yield _Part(span, depth, _left(span, inside))
            yield from below(span["span_id"], depth + 1)

    found = list(below("", 0))
    # What only parents of each other hold, as broken ids make them, hangs from nothing.
    for parent in list(children):
        found += below(parent, 0)
    return found


def _left(span: Line, inside: Sequence[Line]) -> float:
    """Seconds of a span that none of those `inside`, in the order of their begin, covers."""
    end, left = span["begin_ns"], 0
    for each in inside:
        left += max(0, min(each["begin_ns"], span["end_ns"]) - end)
        end = max(end, each["end_ns"])
    return float(left + max(0, span["end_ns"] - end)) / _NS


def _spent(each: Traced, parts: Sequence[_Part]) -> str:
    """In words, where most of the time went; what no span covers is outside: the way, queues, the front."""
    own: dict[str, float] = {}
    for part in parts:
        place = f"in {part.line['span']} ({part.line['node']})"
        own[place] = own.get(place, 0.0) + part.own
    told = max(part.line["end_ns"] for part in parts) - min(part.line["begin_ns"] for part in parts)
    own["outside of all spans"] = max(0.0, each.took - told / _NS)
    most = sorted(own.items(), key=lambda item: item[1], reverse=True)[:_NAMED]
    return (
        listed([f"{secs(taken)} {place}" for place, taken in most if taken > 0.0005]) or "no time to speak of"
    )


def _trouble(line: Line) -> str:
    """What a span says went wrong in it."""
    told = [f"{name} {line[name]}" for name in ("error", "fault") if line.get(name)]
    status = line.get("status")
    if isinstance(status, int) and status >= 400:
        told.append(f"status {status}")
    return ", ".join(told)


def _chart(parts: Sequence[_Part], first: int, label: str) -> Markup:
    """A bar for each span, below its name: where in the operation's time it was."""
    span = Span(0.0, max((part.line["end_ns"] - first) / _NS for part in parts) or 0.001)
    height = _ROW * len(parts)
    drawn: list[svg.Element] = draw.axis(span, height, height)
    for n, part in enumerate(parts):
        top, trouble = n * _ROW + 17, _trouble(part.line)
        note = f"{part.line['node']} · {secs(part.length)}" + (f" · {trouble}" if trouble else "")
        name = str(part.line["span"])
        drawn.append(draw.text(0, top - 4, name, "row-note", anchor="start", dx=part.depth * 10))
        drawn.append(draw.text(100, top - 4, note, "row-note", anchor="end"))
        left, right = (
            span.at((part.line["begin_ns"] - first) / _NS),
            span.at((part.line["end_ns"] - first) / _NS),
        )
        drawn.append(draw.rect(left, top, max(0.2, right - left), 8, "bad" if trouble else "leg"))
    return draw.figure(drawn, height + draw.AXIS_HEIGHT, label)
