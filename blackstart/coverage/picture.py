"""The map as a picture: a row a place, a column a failure mode; signs and outlines tell what colours do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files

import svg
from markupsafe import Markup, escape

from blackstart.coverage.grid import Cell, Coverage, State
from blackstart.coverage.places import Place
from blackstart.model.modes import Mode
from blackstart.report import draw
from blackstart.report.words import SIGNS, age, instant, plural

Rows = Sequence[tuple[Cell, ...]]

#: A sign for each state; a hole shows its place's rank instead, where that is among the first.
STATE_SIGNS = {
    State.PASS: SIGNS["pass"],
    State.FAIL: SIGNS["fail"],
    State.UNKNOWN: SIGNS["unknown"],
    State.UNRUN: "○",
    State.HOLE: "",
    State.IDLE: "",
}
#: So many ranks are shown.
TOP = 10
#: Percent of the width that the names take; pixels of a row, a heading, the gap between two parts.
_NAMES, _ROW, _HEAD, _GAP = 38.0, 32.0, 56.0, 26.0
_MARGIN, _TITLE = 16, 30


def picture(found: Coverage) -> Markup:
    """For a page: as wide as its place, styled by the page."""
    elements, height = _drawn(found)
    return draw.figure(elements, height, label(found))


def image(found: Coverage, width: int = 1000) -> str:
    """A file of its own, `width` pixels wide, with its style sheet inside; dark where its viewer is."""
    elements, height = _drawn(found)
    title = f"{found.stack}: what is drilled as of {instant(found.now.isoformat())}"
    key = "✓ passed · ✕ failed · ? unknown, with age · ○ never run · dashed: no drill, ranked by its worth"
    below = _TITLE + height + 28
    inner = svg.SVG(
        xmlns=None,
        x=_MARGIN,
        y=_MARGIN,
        width=width - 2 * _MARGIN,
        height=draw.px(below),
        overflow="visible",
        elements=[
            draw.text(0, 18, title, "part", anchor="start"),
            svg.SVG(xmlns=None, y=_TITLE, width=draw.pct(100), overflow="visible", elements=elements),
            draw.text(0, below - 6, key, anchor="start"),
        ],
    )
    whole = svg.SVG(
        width=width,
        height=draw.px(below + 2 * _MARGIN),
        class_=["chart"],
        extra={"role": "img", "aria-label": str(escape(label(found)))},
        elements=[
            svg.Style(text=style()),
            svg.Rect(width=draw.pct(100), height=draw.pct(100), class_=["paper"]),
            inner,
        ],
    )
    return f"{whole}\n"


def style() -> str:
    """The style sheet of the reports, and what the map adds."""
    report = files("blackstart.report").joinpath("templates/style.css").read_text()
    own = files("blackstart.coverage").joinpath("templates/coverage.css").read_text()
    return report + own


def label(found: Coverage) -> str:
    """The picture in a sentence, for those who do not see it."""
    drilled = found.count(State.PASS, State.FAIL, State.UNKNOWN, State.UNRUN)
    return (
        f"{drilled} of {plural(len(found.cells), 'cell')} of stack {found.stack} are drilled, "
        f"{found.count(State.PASS)} of them passed when last run; a table below holds the same"
    )


def _drawn(found: Coverage) -> tuple[list[svg.Element], float]:
    parts = [
        ("Components", [cells for place, cells in found.rows if not place.is_edge]),
        ("Edges", [cells for place, cells in found.rows if place.is_edge]),
    ]
    ranks = {hole.place.name: hole.rank for hole in found.holes if hole.rank <= TOP}
    columns = [alive(rows) for _, rows in parts]
    size = (100 - _NAMES) / max(1, *map(len, columns))
    drawn: list[svg.Element] = []
    top = 0.0
    for (name, rows), modes in zip(parts, columns, strict=True):
        if rows:
            drawn += _part(found, name, rows, modes, size, ranks, top)
            top += _HEAD + len(rows) * _ROW + _GAP
    return drawn, max(0.0, top - _GAP)


def alive(rows: Rows) -> list[Mode]:
    """The modes in which something can happen in these rows."""
    return [
        cells[0].mode for cells in zip(*rows, strict=True) if any(c.state is not State.IDLE for c in cells)
    ]


def _part(
    found: Coverage, name: str, rows: Rows, modes: list[Mode], size: float, ranks: dict[str, int], top: float
) -> Iterator[svg.Element]:
    yield draw.text(0, top + _HEAD - 10, name, "part", anchor="start")
    for n, mode in enumerate(modes):
        yield _heading(_NAMES + (n + 0.5) * size, top + _HEAD - 10, mode.value, mode.meaning)
    for number, cells in enumerate(rows):
        place, y = cells[0].place, top + _HEAD + number * _ROW
        yield draw.line(0, y, 100, y, "level")
        yield draw.text(0, y + 21, place.name, "place", anchor="start")
        yield draw.text(_NAMES - 1.5, y + 21, _behind(place), "wide", anchor="end")
        for n, cell in enumerate(c for c in cells if c.mode in modes):
            yield from _cell(cell, found, ranks.get(place.name), _NAMES + n * size, y, size)


def _heading(x: float, y: float, words: str, meaning: str) -> svg.Element:
    """A text in a place of its own: the style sheet turns it where columns are narrow."""
    text = svg.Text(x=0, y=0, class_=["head"], elements=[_title(meaning)], text=str(escape(words)))
    return svg.SVG(
        xmlns=None, x=draw.pct(x), y=draw.px(y), width=1, height=1, overflow="visible", elements=[text]
    )


def _behind(place: Place) -> str:
    count = f"{len(place.dependents)} behind" if place.dependents else ""
    parts = [
        count,
        "clients" if place.clients and not place.dependents else "",
        "single" if place.instances == 1 else "",
    ]
    return ", ".join(part for part in parts if part)


def _cell(
    cell: Cell, found: Coverage, rank: int | None, x: float, y: float, size: float
) -> Iterator[svg.Element]:
    state = cell.state
    if state is State.IDLE:
        return
    gap = size * 0.04
    name = state.value.replace(" ", "-")
    if state is State.HOLE and rank is not None:
        name = "next"
    box = svg.Rect(
        x=draw.pct(x + gap),
        y=draw.px(y + 3),
        width=draw.pct(size - 2 * gap),
        height=_ROW - 6,
        rx=4,
        class_=["cell", f"cell-{name}"],
        elements=[_title(told(cell, found))],
    )
    yield box
    middle, base = x + size / 2, y + 20.5
    if state is State.HOLE:
        if rank is not None:
            yield draw.text(middle, base, str(rank), "rank", anchor="middle")
        return
    sign = STATE_SIGNS[state]
    old = f" {age((found.now - cell.started).total_seconds())}" if cell.started else ""
    yield draw.text(middle, base, sign, "sign", f"on-{name}", "narrow", anchor="middle")
    yield draw.text(middle, base, f"{sign}{old}", "sign", f"on-{name}", "wide-sign", anchor="middle")


def told(cell: Cell, found: Coverage) -> str:
    """A cell in words, for a pointer that rests on it and for the table."""
    where = f"{cell.place.name}, {cell.mode.value}"
    if not cell.strikes:
        return f"{where}: no drill; for example {cell.call}" if cell.call else f"{where}: no fault does that"
    parts = []
    for strike in cell.strikes:
        last = strike.last
        when = (
            f"{last.verdict.value}, {age((found.now - last.started).total_seconds())} old"
            if last
            else "never run"
        )
        parts.append(f"{strike.drill} ({strike.fault}): {when}; runbook {strike.runbook}")
    return f"{where}: {'; '.join(parts)}"


def _title(words: str) -> svg.Title:
    return svg.Title(elements=[], text=str(escape(words)))
