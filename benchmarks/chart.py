"""Pictures of the benchmarks: one SVG file each that needs no style sheet; axes, marks, lines, a legend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import svg
from markupsafe import escape

Point = tuple[float, float]
Mark = Literal["circle", "square", "cross"]

_WIDTH, _HEIGHT = 900.0, 520.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 240.0, 50.0, 60.0
#: Told apart by those who do not see red and green as well (Okabe and Ito's palette).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_INK, _FAINT, _PAPER = "#222222", "#d9d9d9", "#ffffff"
_DASHES = (7, 5)


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, both shown; `ticks` are values and what is written at them."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 to 1; what is beyond an end lies at the end."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
        return min(1.0, max(0.0, (value - low) / (high - low)))


def linear(title: str, high: float, shown: Callable[[float], str] = "{:g}".format) -> Axis:
    """An axis from 0 to a round number that is at least `high`."""
    high = high if high > 0 else 1.0
    power = 10.0 ** math.floor(math.log10(high))
    step = next(power * s / 10 for s in (2, 5, 10, 20) if power * s / 10 * 6 >= high)
    count = math.ceil(high / step - 1e-9)
    ticks = tuple((n * step, shown(n * step)) for n in range(count + 1))
    return Axis(title, 0.0, count * step, ticks)


def decades(title: str, low: float, high: float, shown: Callable[[float], str] = "{:g}".format) -> Axis:
    """A logarithmic axis over the powers of ten that hold `low` (above 0) and `high`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = tuple((10.0**n, shown(10.0**n)) for n in range(first, max(last, first + 1) + 1))
    return Axis(title, ticks[0][0], ticks[-1][0], ticks, log=True)


class Picture:
    """A plot that is filled and then written."""

    def __init__(self, title: str, x: Axis, y: Axis) -> None:
        self._title, self._x, self._y = title, x, y
        self._drawn: list[svg.Element] = [*_frame(title, x, y)]
        self._legend: list[tuple[str, svg.Element]] = []

    def dots(self, points: Sequence[Point], colour: str, label: str = "", mark: Mark = "circle") -> None:
        """Measured points."""
        self._drawn += [_MARKS[mark](*self._place(point), colour) for point in points]
        if label:
            self._legend.append((label, _MARKS[mark](0, 0, colour)))

    def curve(self, points: Sequence[Point], colour: str, label: str = "", dashed: bool = False) -> None:
        """A line through points; `dashed` where it is not measured."""
        if len(points) < 2:
            return
        self._drawn.append(_path([self._place(p) for p in points], colour, dashed))
        if label:
            self._legend.append((label, _path([(-9, 0), (9, 0)], colour, dashed)))

    def band(self, lower: Sequence[Point], upper: Sequence[Point], colour: str) -> None:
        """What lies between two lines, tinted."""
        around = [self._place(p) for p in (*lower, *reversed(upper))]
        if len(around) > 2:
            self._drawn.append(svg.Path(d=_course(around), fill=colour, fill_opacity=0.12, stroke="none"))

    def words(self, at: Point, text: str, colour: str = _INK) -> None:
        """A note, above a point and centred on it."""
        x, y = self._place(at)
        self._drawn.append(_text(x, y - 8, text, colour=colour))

    def svg(self) -> str:
        """The finished picture."""
        legend: list[svg.Element] = []
        for number, (label, sample) in enumerate(self._legend):
            y = _TOP + 14 + 22 * number
            x = _WIDTH - _RIGHT + 24
            legend.append(svg.G(transform=[svg.Translate(x, y)], elements=[sample]))
            legend.append(_text(x + 16, y + 4, label, anchor="start"))
        image = svg.SVG(
            viewBox=svg.ViewBoxSpec(0, 0, _WIDTH, _HEIGHT),
            width=_WIDTH,
            height=_HEIGHT,
            extra={
                "font-family": "sans-serif",
                "role": "img",
                "aria-label": str(escape(self._title)),
            },
            elements=[*self._drawn, *legend],
        )
        return str(image) + "\n"

    def _place(self, point: Point) -> Point:
        return _across(self._x, point[0]), _down(self._y, point[1])


def _across(axis: Axis, value: float) -> float:
    return round(_LEFT + axis.share(value) * (_WIDTH - _LEFT - _RIGHT), 1)


def _down(axis: Axis, value: float) -> float:
    return round(_HEIGHT - _BOTTOM - axis.share(value) * (_HEIGHT - _TOP - _BOTTOM), 1)


def _frame(title: str, x: Axis, y: Axis) -> Iterator[svg.Element]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    yield svg.Rect(x=0, y=0, width=_WIDTH, height=_HEIGHT, fill=_PAPER)
    yield _text(_LEFT, 26, title, anchor="start", size=16)
    for value, label in x.ticks:
        at = _across(x, value)
        yield svg.Line(x1=at, y1=_TOP, x2=at, y2=bottom, stroke=_FAINT, stroke_width=1)
        yield _text(at, bottom + 18, label)
    for value, label in y.ticks:
        at = _down(y, value)
        yield svg.Line(x1=_LEFT, y1=at, x2=right, y2=at, stroke=_FAINT, stroke_width=1)
        yield _text(_LEFT - 8, at + 4, label, anchor="end")
    yield _path([(_LEFT, _TOP), (_LEFT, bottom), (right, bottom)], _INK, False)
    yield _text((_LEFT + right) / 2, _HEIGHT - 16, x.title)
    yield _text(_LEFT, _TOP - 9, y.title, anchor="start")


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: Literal["start", "middle", "end"] = "middle",
    size: float = 12,
    colour: str = _INK,
) -> svg.Element:
    # svg.py does not escape.
    return svg.Text(x=x, y=y, text=str(escape(words)), text_anchor=anchor, font_size=size, fill=colour)


def _course(points: Sequence[Point]) -> list[svg.PathData]:
    (x, y), *rest = points
    return [svg.M(x, y), *(svg.L(x, y) for x, y in rest)]


def _path(points: Sequence[Point], colour: str, dashed: bool) -> svg.Element:
    return svg.Path(
        d=_course(points),
        fill="none",
        stroke=colour,
        stroke_width=2,
        stroke_dasharray=[*_DASHES] if dashed else None,
    )


def _circle(x: float, y: float, colour: str) -> svg.Element:
    return svg.Circle(cx=x, cy=y, r=4.5, fill=colour, fill_opacity=0.7)


def _square(x: float, y: float, colour: str) -> svg.Element:
    return svg.Rect(x=x - 4, y=y - 4, width=8, height=8, fill="none", stroke=colour, stroke_width=2)


def _cross(x: float, y: float, colour: str) -> svg.Element:
    arms: list[svg.PathData] = [
        svg.M(x - 4, y - 4),
        svg.L(x + 4, y + 4),
        svg.M(x - 4, y + 4),
        svg.L(x + 4, y - 4),
    ]
    return svg.Path(d=arms, fill="none", stroke=colour, stroke_width=2)


_MARKS: dict[Mark, Callable[[float, float, str], svg.Element]] = {
    "circle": _circle,
    "square": _square,
    "cross": _cross,
}
