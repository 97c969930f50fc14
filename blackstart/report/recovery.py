"""Recovery after the fault, kind by kind: from the first error to where recovery lies, beside the bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import svg
from markupsafe import Markup

from blackstart.report import draw, sentences
from blackstart.report.draw import Span
from blackstart.report.words import limit, secs

#: Outages beyond this many are left to the table of the strip.
MAX_ROWS = 12
_ROW = 46.0


class Row(NamedTuple):
    """An outage as seen from its episode: seconds since the begin of the fault."""

    kind: str
    first: float
    lo: float
    hi: float
    censored: bool


def view(
    measure: Mapping[str, Any], faults: Sequence[tuple[float, float]], load_end: float, bound: float | None
) -> dict[str, Any] | None:
    """Chart, caption and table; None without a fault or without an outage that was felt."""
    if (measure.get("rto") or {}).get("f") is None:
        return None
    rows = [row for _, row in felt(measure, faults, load_end)]
    if not rows:
        return None
    caption = sentences.recovery_caption(measure, bound)
    return {
        "chart": _bars(rows[:MAX_ROWS], bound, caption),
        "caption": caption,
        "rows": [(r.kind, secs(r.first), secs(r.lo), "not seen" if r.censored else secs(r.hi)) for r in rows],
    }


def episode_begins(faults: Sequence[tuple[float, float]]) -> list[float]:
    """When each episode begins: faults that overlap or touch are one."""
    begins: list[float] = []
    until = float("-inf")
    for begin, end in sorted(faults):
        if begin > until:
            begins.append(begin)
        until = max(until, end)
    return begins


def felt(
    measure: Mapping[str, Any], faults: Sequence[tuple[float, float]], load_end: float
) -> list[tuple[float, Row]]:
    """The outages that clients felt, each with the begin of its episode."""
    begins, rows = episode_begins(faults), []
    for outage in measure.get("outages") or ():
        begin = max((b for b in begins if b <= outage["end_s"]), default=None)
        if begin is not None:
            lo = max(0.0, outage["begin_s"] + outage["lo_s"] - begin)
            hi = max(lo, outage["end_s"] - begin)
            first = max(0.0, outage["begin_s"] - begin)
            rows.append((begin, Row(outage["f"], first, lo, hi, sentences.unended(outage, load_end))))
    return rows


def _bars(rows: Sequence[Row], bound: float | None, label: str) -> Markup:
    """Solid while errors were certain, hatched where recovery lies, a dashed rule at the bound."""
    longest = max([*(hi for *_, hi, _ in rows), bound or 0.0, 0.1])
    span = Span(0.0, longest * 1.06)
    height = _ROW * len(rows) + (16 if bound is not None else 0)
    drawn: list[svg.Element] = [draw.hatch("hatch-recovery"), *draw.axis(span, height, height - 22)]
    offset = 16.0 if bound is not None else 0.0
    for n, (kind, first, lo, hi, censored) in enumerate(rows):
        top = offset + n * _ROW + 20
        left, sure, late = span.at(first), span.at(lo), span.at(hi)
        drawn.append(draw.text(0, top - 6, kind, "row-name", anchor="start"))
        drawn.append(draw.line(0, top + 8, left, top + 8, "whisker"))
        drawn.append(draw.rect(left, top, max(0.2, sure - left), 16, "bad"))
        drawn.append(draw.rect(sure, top, max(0.2, late - sure), 16, "between"))
        words = f"more than {secs(lo)}" if censored else f"lo {secs(lo)} · hi {secs(hi)}"
        outside = late < 55
        drawn.append(
            draw.text(
                late if outside else 100,
                top + (12 if outside else -6),
                words,
                "row-note",
                anchor="start" if outside else "end",
                dx=6 if outside else 0,
            )
        )
    if bound is not None:
        x = span.at(bound)
        drawn.append(draw.line(x, 14, x, height, "bound"))
        drawn.append(
            draw.text(x, 10, f"bound {limit(bound)}", "row-note", anchor="end" if x > 50 else "start")
        )
    return draw.figure(drawn, height + draw.AXIS_HEIGHT, label)
