"""Drawing primitives over svg.py: x in percent of the width, y and text in pixels.

So a chart fills any width, a phone's included, while its text keeps its size. svg.py does not escape:
every text passes through here. Colours are CSS classes; the page's style sheet decides light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import svg
from markupsafe import Markup, escape

AXIS_HEIGHT = 24
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


def pct(value: float) -> svg.Length:
    """A percentage, rounded to what a wide screen can show."""
    return svg.Length(round(value, 2), "%")


def px(value: float) -> float:
    """A pixel coordinate, rounded."""
    return round(value, 1)


@dataclass(frozen=True)
class Span:
    """The x axis: seconds `start` to `end`, labelled relative to `zero`."""

    start: float
    end: float
    zero: float = 0.0

    def at(self, t: float) -> float:
        """Seconds to percent, clipped to the chart."""
        size = (self.end - self.start) or 1.0
        return min(100.0, max(0.0, (t - self.start) / size * 100))

    def ticks(self, most: int = 8) -> list[float]:
        """Round labels (relative to zero), at most `most`."""
        size = self.end - self.start
        step = next((s for s in _STEPS if size / s <= most), size / most or 1.0)
        first = math.ceil((self.start - self.zero) / step - 1e-9)
        last = math.floor((self.end - self.zero) / step + 1e-9)
        return [round(n * step, 6) for n in range(first, last + 1)]


def rect(
    x: float, y: float, width: float, height: float, *classes: str, title: str | None = None
) -> svg.Element:
    """A rectangle; x and width in percent."""
    return svg.Rect(
        x=pct(x),
        y=px(y),
        width=pct(width),
        height=px(height),
        class_=list(classes),
        elements=[_title(title)] if title else None,
    )


def line(x1: float, y1: float, x2: float, y2: float, *classes: str) -> svg.Element:
    """A line; x in percent."""
    return svg.Line(x1=pct(x1), y1=px(y1), x2=pct(x2), y2=px(y2), class_=list(classes))


def dot(x: float, y: float, radius: float, *classes: str) -> svg.Element:
    """A circle; x in percent."""
    return svg.Circle(cx=pct(x), cy=px(y), r=radius, class_=list(classes))


def text(
    x: float, y: float, words: str, *classes: str, anchor: str | None = None, dx: float = 0
) -> svg.Element:
    """A label; near an edge it is anchored so that it stays inside."""
    if anchor is None:
        anchor = "start" if x < 4 else "end" if x > 96 else "middle"
    return svg.Text(
        x=pct(x),
        y=px(y),
        dx=dx or None,
        text=str(escape(words)),
        class_=[*classes, f"a-{anchor}"],
    )


def clipped(x: float, y: float, width: float, height: float, words: str, *classes: str) -> svg.Element:
    """A label at the left end of a box, cut where the box ends."""
    label = svg.Text(x=5, y=px(height * 0.72), text=str(escape(words)), class_=[*classes])
    return svg.SVG(
        xmlns=None,
        x=pct(x),
        y=px(y),
        width=pct(width),
        height=px(height),
        overflow="hidden",
        elements=[label],
    )


def axis(span: Span, y: float, height: float, unit: str = "s") -> list[svg.Element]:
    """Grid lines over `height` above `y`, and labels below it."""
    drawn: list[svg.Element] = [line(0, y, 100, y, "axis")]
    for value in span.ticks():
        x = span.at(value + span.zero)
        zero = value == 0 and span.zero > span.start
        drawn.append(line(x, y - height, x, y, "grid"))
        label = f"{value:+g}".replace("-", "\N{MINUS SIGN}") if span.zero > span.start else f"{value:g}"
        drawn.append(text(x, y + 15, "fault" if zero else f"{label} {unit}", "tick"))
    return drawn


def shade(span: Span, windows: Sequence[tuple[float, float]], y: float, height: float) -> list[svg.Element]:
    """The fault windows: a tint, and a rule at each end, so that it shows without colour as well."""
    drawn: list[svg.Element] = []
    for begin, end in windows:
        left, right = span.at(begin), span.at(end)
        drawn.append(rect(left, y, max(0.15, right - left), height, "fault"))
        drawn.append(line(left, y, left, y + height, "fault-edge"))
        drawn.append(line(right, y, right, y + height, "fault-edge"))
    return drawn


def hatch(pattern_id: str, *classes: str) -> svg.Element:
    """Definition of a diagonal pattern, referred to as `url(#pattern_id)`."""
    return svg.Defs(
        elements=[
            svg.Pattern(
                id=pattern_id,
                width=5,
                height=5,
                patternUnits="userSpaceOnUse",
                patternTransform=[svg.Rotate(45)],
                class_=["hatch", *classes],
                elements=[
                    svg.Rect(width=5, height=5, class_=["hatch-ground"]),
                    svg.Line(x1=0, y1=0, x2=0, y2=5, class_=["hatch-line"]),
                ],
            )
        ]
    )


def figure(elements: Sequence[svg.Element], height: float, label: str) -> Markup:
    """The finished SVG: as wide as its place, `label` its text alternative."""
    image = svg.SVG(
        width=pct(100),
        height=px(height),
        class_=["chart"],
        extra={"role": "img", "aria-label": str(escape(label))},
        elements=list(elements),
    )
    return Markup(str(image))


def _title(words: str) -> svg.Title:
    return svg.Title(elements=[], text=str(escape(words)))
