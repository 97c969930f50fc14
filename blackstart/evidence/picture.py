"""The pictures of the page: recovery against its target, and the course of a restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import svg

from blackstart.evidence.trial import Facts, counted
from blackstart.model.durations import seconds
from blackstart.report import draw
from blackstart.report.draw import Span
from blackstart.report.words import bounds, limit, secs

_ROW, _BAR = 40.0, 14.0
_LANE, _BOX = 40.0, 18.0
#: A box narrower than this share of the picture (percent) bears no word.
_WORD = 6.0


def shown_trial(drill: Mapping[str, Any]) -> Facts | None:
    """The drill's trial that recovered last, which stands for it in pictures; None if none was run."""
    return max(counted(drill, "drill"), key=lateness, default=None)


def lateness(trial: Mapping[str, Any]) -> tuple[bool, float, float]:
    """By which trials are ordered: the one that was not seen to recover is the latest."""
    rto = trial["measure"]["rto"]
    return bool(rto["censored"]), float(rto["hi_s"]), float(rto["lo_s"])


def rto_bound(trial: Mapping[str, Any]) -> float | None:
    """The target of the recovery time, seconds; None without one."""
    found = [t["bound"] for t in trial["targets"] if t["objective"] == "rto"]
    return seconds(found[0]) if found else None


def recovery(drills: Sequence[Facts]) -> dict[str, Any] | None:
    """A bar a drill: solid while clients were certainly not well again, hatched where recovery lies.

    The dashed rule of a row is its target. None if no drill was run.
    """
    rows = [(d["title"], trial) for d in drills if (trial := shown_trial(d)) is not None]
    if not rows:
        return None
    targets = [rto_bound(trial) for _, trial in rows]
    longest = max([0.1, *(t["measure"]["rto"]["hi_s"] for _, t in rows), *filter(None, targets)])
    span, height = Span(0.0, longest * 1.04), _ROW * len(rows)
    drawn: list[svg.Element] = [draw.hatch("hatch-recovery"), *draw.axis(span, height, height)]
    for n, ((title, trial), target) in enumerate(zip(rows, targets, strict=True)):
        drawn += _bar(n * _ROW + 18, title, trial, target, span)
    caption = _caption(rows, targets)
    return {"chart": draw.figure(drawn, height + draw.AXIS_HEIGHT, caption), "caption": caption}


def _bar(top: float, title: str, trial: Facts, target: float | None, span: Span) -> list[svg.Element]:
    rto = trial["measure"]["rto"]
    lo, hi = span.at(rto["lo_s"]), span.at(rto["hi_s"])
    words = bounds(rto["lo_s"], rto["hi_s"], bool(rto["censored"]))
    if target is not None:
        words += f" · target {limit(target)}"
    drawn = [
        draw.text(0, top - 5, title, "row-name", anchor="start"),
        draw.text(100, top - 5, words, "row-note", anchor="end"),
    ]
    if rto["hi_s"]:
        drawn.append(draw.rect(0, top, max(0.2, lo), _BAR, "bad"))
        drawn.append(draw.rect(lo, top, max(0.2, hi - lo), _BAR, "between"))
    if target is not None:
        at = span.at(target)
        drawn.append(draw.line(at, top - 2, at, top + _BAR + 2, "bound"))
    return drawn


def _caption(rows: Sequence[tuple[str, Facts]], targets: Sequence[float | None]) -> str:
    told = []
    for (title, trial), target in zip(rows, targets, strict=True):
        rto = trial["measure"]["rto"]
        aim = f", target {limit(target)}" if target is not None else ", no target"
        told.append(f"{title}: {bounds(rto['lo_s'], rto['hi_s'], bool(rto['censored']))}{aim}")
    return f"Time from the fault until clients were served again. {'; '.join(told)}."


def course(trial: Facts) -> dict[str, Any] | None:
    """What clients saw above what the runbook did, on one axis from the fault; None without steps."""
    if not trial["steps"]:
        return None
    zero = trial["episode_s"] if trial["episode_s"] is not None else trial["steps"][0]["begin_s"]
    outages = trial["measure"]["outages"]
    ends = [step["end_s"] or step["begin_s"] for step in trial["steps"]]
    ends += [*(o["end_s"] for o in outages), *(r["at_s"] for r in trial["restores"]), zero + 1]
    start = min([zero, *(step["begin_s"] for step in trial["steps"])])
    size = max(ends) - start
    span, height = Span(start - 0.02 * size, max(ends) + 0.03 * size, zero), 2 * _LANE
    drawn: list[svg.Element] = draw.axis(span, height, height)
    drawn.append(draw.text(0, 11, "outages that clients felt", "row-name", anchor="start"))
    for outage in outages:
        left, right = span.at(outage["begin_s"]), span.at(outage["end_s"])
        words = f"{outage['f']}: {secs(outage['lo_s'])} to {secs(outage['hi_s'])}"
        drawn.append(draw.rect(left, 16, max(0.2, right - left), _BOX, "bad", title=words))
    drawn.append(draw.text(0, _LANE + 11, "runbook", "row-name", anchor="start"))
    for step in trial["steps"]:
        drawn += _step(step, span)
    for restore in trial["restores"]:
        at = span.at(restore["at_s"])
        drawn.append(draw.line(at, 4, at, height, "leg-end"))
    caption = _course_caption(trial)
    return {"chart": draw.figure(drawn, height + draw.AXIS_HEIGHT, caption), "caption": caption}


def _step(step: Facts, span: Span) -> list[svg.Element]:
    left = span.at(step["begin_s"])
    width = max(0.2, span.at(step["end_s"]) - left) if step["end_s"] is not None else 100 - left
    name = "step-failed" if step["wrong"] else "step-box"
    took = secs(step["end_s"] - step["begin_s"]) if step["end_s"] is not None else "no end recorded"
    box = draw.rect(left, _LANE + 16, width, _BOX, name, title=f"{step['step']}: {took}")
    if width < _WORD:
        return [box]
    return [box, draw.clipped(left, _LANE + 16, width, _BOX, step["step"], "step-word")]


def _course_caption(trial: Facts) -> str:
    parts = []
    for step in trial["steps"]:
        took = secs(step["end_s"] - step["begin_s"]) if step["end_s"] is not None else "no end recorded"
        parts.append(f"{step['step']} {took}")
    restored = (
        " The upright rule is the moment at which the restore was recorded." if trial["restores"] else ""
    )
    return f"The runbook's steps: {', '.join(parts)}.{restored}"
