"""What clients saw, over time: the availability strip and the latency panels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import svg
from markupsafe import Markup

from blackstart.report import draw
from blackstart.report.draw import Span
from blackstart.report.samples import Bin, Kind, Samples
from blackstart.report.words import millis, share

Windows = Sequence[tuple[float, float]]

_ROW, _STRIP = 62.0, 30.0
_PANEL, _PLOT = 128.0, 92.0
#: Fewer answers than this in a bin have no quantiles worth the name: they are drawn one by one.
_FEW = 5


def availability_strip(
    samples: Samples, span: Span, faults: Windows, notes: Mapping[str, str], label: str
) -> Markup:
    """One strip per kind: each bin is filled to the share of oks; the rest is failed or unanswered."""
    kinds = list(samples.kinds.values())
    height = _ROW * len(kinds)
    drawn: list[svg.Element] = [draw.hatch("hatch-strip"), *draw.axis(span, height, height - 22)]
    for n, kind in enumerate(kinds):
        top = n * _ROW + 22
        drawn += draw.shade(span, faults, top - 5, _STRIP + 10)
        drawn.append(draw.text(0, top - 9, kind.name, "row-name", anchor="start"))
        drawn.append(draw.text(100, top - 9, notes.get(kind.name, ""), "row-note", anchor="end"))
        drawn += _strip(kind, samples.width, span, top)
    return draw.figure(drawn, height + draw.AXIS_HEIGHT, label)


def _strip(kind: Kind, width: float, span: Span, top: float) -> Iterator[svg.Element]:
    """Equal neighbours are drawn as one rectangle."""
    runs = groupby(enumerate(_carried(kind.bins, width)), key=lambda item: item[1])
    for shares, members in runs:
        numbers = [n for n, _ in members]
        if shares is None:
            continue
        left, right = span.at(numbers[0] * width), span.at((numbers[-1] + 1) * width)
        ok, fail = (round(part * _STRIP, 1) for part in shares)
        info = round(_STRIP - ok - fail, 1)
        # Half a pixel of overlap hides the seams that rounding would leave.
        size = right - left + 0.03
        if ok:
            yield draw.rect(left, top + _STRIP - ok, size, ok, "ok")
        if fail:
            yield draw.rect(left, top, size, fail, "bad")
        if info:
            yield draw.rect(left, top + fail, size, info, "bad-info")


def _carried(bins: Sequence[Bin], width: float) -> Iterator[tuple[float, float] | None]:
    """Shares of ok and refused per bin; a bin in which nothing was due, as happens to a kind that is slower
    than the bins, shows what was seen before it, if something is due again within a second."""
    reach = max(1, round(1 / width))
    last: tuple[float, float] | None = None
    for n, slot in enumerate(bins):
        if slot.due:
            last = _shares(slot)
        elif not any(b.due for b in bins[n + 1 : n + 1 + reach]):
            last = None
        yield last


def _shares(slot: Bin) -> tuple[float, float] | None:
    return (slot.ok / slot.due, slot.fail / slot.due) if slot.due else None


def latency_panels(samples: Samples, span: Span, faults: Windows, label: str) -> Markup:
    """A panel per kind on a logarithmic scale: median to p99 per bin, the slowest answer, the unanswered."""
    kinds = [k for k in samples.kinds.values() if k.ok]
    height = _PANEL * len(kinds)
    drawn: list[svg.Element] = draw.axis(span, height, height - 22)
    for n, kind in enumerate(kinds):
        top = n * _PANEL + 26
        drawn.append(draw.text(0, top - 12, kind.name, "row-name", anchor="start"))
        drawn.append(draw.text(100, top - 12, _slowest(kind), "row-note", anchor="end"))
        drawn += draw.shade(span, faults, top - 5, _PLOT + 5)
        drawn += _panel(kind, samples.width, span, top)
    return draw.figure(drawn, height + draw.AXIS_HEIGHT, label)


def _slowest(kind: Kind) -> str:
    return f"slowest {millis(max(b.latencies[-1] for b in kind.bins if b.latencies))}"


def _panel(kind: Kind, width: float, span: Span, top: float) -> Iterator[svg.Element]:
    filled = [b for b in kind.bins if b.latencies]
    low = math.log10(max(0.01, min(b.latencies[0] for b in filled))) - 0.12
    high = max(low + 0.6, math.log10(max(0.01, max(b.latencies[-1] for b in filled))) + 0.2)

    def y(ms: float) -> float:
        return top + _PLOT * (high - math.log10(max(10.0**low, ms))) / (high - low)

    for level in _levels(low, high):
        yield draw.line(0, y(level), 100, y(level), "level")
    for n, slot in enumerate(kind.bins):
        left, right = span.at(n * width), span.at((n + 1) * width)
        middle, size = (left + right) / 2, (right - left) * 0.9
        if slot.fail or slot.info:
            yield draw.line(middle, top - 5, middle, top + 4, "miss")
        if len(slot.latencies) < _FEW:
            for value in slot.latencies:
                yield draw.dot(middle, y(value), 1.6, "answer")
            continue
        p50, p99, worst = slot.quantile(0.5), slot.quantile(0.99), slot.latencies[-1]
        assert p50 is not None and p99 is not None
        yield draw.rect(left, y(p99), size, max(1.0, y(p50) - y(p99)), "range")
        yield draw.line(left, y(p50), left + size, y(p50), "median")
        if worst > p99:
            yield draw.dot(middle, y(worst), 1.6, "answer")
    for level in _levels(low, high):
        label = f"{level:g} ms" if level < 1000 else f"{level / 1000:g} s"
        yield draw.text(0, y(level) - 3, label, "tick", "halo", anchor="start")


def _levels(low: float, high: float) -> list[float]:
    """Round values between the powers of ten `low` and `high`: decades, or finer where those are too few."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    found: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5)):
        values = [s * 10.0**p for p in powers for s in steps]
        found = [v for v in values if low + 0.03 <= math.log10(v) <= high - 0.1]
        if len(found) >= 2:
            break
    return found[:: 1 + len(found) // 5]


def strip_table(samples: Samples, zero: float) -> list[list[str]]:
    """The data behind the strip: every bin that was not all ok, as rows of text."""
    rows = []
    for kind in samples.kinds.values():
        for n, slot in enumerate(kind.bins):
            if slot.due and slot.ok < slot.due:
                begin = n * samples.width - zero
                rows.append(
                    [
                        f"{begin:+.2f}",
                        kind.name,
                        str(slot.ok),
                        str(slot.fail),
                        str(slot.info),
                        share(slot.ratio),
                    ]
                )
    return rows


def latency_table(samples: Samples, zero: float, most: int = 60) -> list[list[str]]:
    """The data behind the panels, in at most `most` coarser rows per kind."""
    rows = []
    for kind in samples.kinds.values():
        step = math.ceil(len(kind.bins) / most)
        for n in range(0, len(kind.bins), step):
            merged = Bin(latencies=sorted(v for b in kind.bins[n : n + step] for v in b.latencies))
            if merged.latencies:
                values = [merged.quantile(q) for q in (0.5, 0.99, 1.0)]
                rows.append(
                    [
                        f"{n * samples.width - zero:+.2f}",
                        kind.name,
                        str(len(merged.latencies)),
                        *map(millis, values),
                    ]
                )
    return rows
