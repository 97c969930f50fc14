"""Degradation over time: which degradations answers named, and how many of the answers did."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import svg
from markupsafe import Markup

from blackstart.report import draw
from blackstart.report.charts import Windows
from blackstart.report.draw import Span
from blackstart.report.samples import Samples
from blackstart.report.words import count, listed, moment, plural, secs, share

#: Slices of time in the chart and its table: few enough that a slice has several answers.
MAX_SLICES = 60
#: Degradations beyond this many, the rarest, are counted only.
MAX_MODES = 8
_ROW, _STRIP = 62.0, 30.0


def view(samples: Samples, span: Span, faults: Windows, zero: float) -> dict[str, Any] | None:
    """Chart, caption and table; None where no answer names its degradations, or a set of them."""
    answers, modes = samples.answers, samples.modes
    if not sum(answers):
        return None
    said = count(sum(answers))
    if not modes:
        return {"chart": None, "caption": f"None of the {said} answers that say so was degraded.", "rows": []}
    step = math.ceil(len(answers) / MAX_SLICES)
    width = samples.width * step
    totals = _merged(answers, step)
    common = sorted(modes, key=lambda mode: (-modes[mode].count, mode))[:MAX_MODES]
    merged = {
        mode: _merged([modes[mode].bins[n] for n in range(len(answers))], step) for mode in sorted(common)
    }
    caption = f"{_finding(samples, sorted(common), zero)} Slices of {secs(width)}."
    return {
        "chart": _chart(merged, totals, width, span, faults, caption),
        "caption": caption,
        "rows": [
            [f"{n * width - zero:+.2f}", mode, count(counts[n]), count(total), share(counts[n] / total)]
            for mode, counts in merged.items()
            for n, total in enumerate(totals)
            if counts[n]
        ],
    }


def _merged(bins: Sequence[int], step: int) -> list[int]:
    return [sum(bins[n : n + step]) for n in range(0, len(bins), step)]


def _finding(samples: Samples, shown: Sequence[str], zero: float) -> str:
    """Which degradations were named, how often, from when to when."""
    told = []
    for name in shown:
        mode = samples.modes[name]
        first, last = moment(mode.first - zero), moment(mode.last - zero)
        when = f"due {first}" if first == last else f"due {first} to {last}"
        told.append(f"{name} in {count(mode.count)} of {count(sum(samples.answers))} ({when})")
    rest = len(samples.modes) - len(shown)
    more = f" {plural(rest, 'rarer one')} {'is' if rest == 1 else 'are'} not drawn." if rest else ""
    return f"Answers named {listed(told)}.{more}"


def _chart(
    modes: Mapping[str, Sequence[int]],
    totals: Sequence[int],
    width: float,
    span: Span,
    faults: Windows,
    label: str,
) -> Markup:
    """A strip per degradation, filled to the share of answers that name it; a dotted line is no answer."""
    height = _ROW * len(modes)
    drawn: list[svg.Element] = [draw.hatch("hatch-degraded", "mild"), *draw.axis(span, height, height - 22)]
    for n, (mode, counts) in enumerate(modes.items()):
        top = n * _ROW + 22
        drawn += draw.shade(span, faults, top - 5, _STRIP + 10)
        drawn.append(draw.text(0, top - 9, mode, "row-name", anchor="start"))
        note = f"{count(sum(counts))} of {count(sum(totals))} answers"
        drawn.append(draw.text(100, top - 9, note, "row-note", anchor="end"))
        drawn.append(draw.line(0, top + _STRIP, 100, top + _STRIP, "level"))
        drawn += _strip(counts, totals, width, span, top)
    return draw.figure(drawn, height + draw.AXIS_HEIGHT, label)


def _strip(
    counts: Sequence[int], totals: Sequence[int], width: float, span: Span, top: float
) -> Iterator[svg.Element]:
    """Equal neighbours are drawn as one rectangle."""
    shares = [each / total if total else None for each, total in zip(counts, totals, strict=True)]
    for value, members in groupby(enumerate(shares), key=lambda item: item[1]):
        numbers = [n for n, _ in members]
        left, right = span.at(numbers[0] * width), span.at((numbers[-1] + 1) * width)
        if value is None:
            yield draw.line(left, top + _STRIP / 2, right, top + _STRIP / 2, "whisker")
        elif value:
            size = round(value * _STRIP, 1)
            yield draw.rect(left, top + _STRIP - size, right - left + 0.03, size, "degraded")
