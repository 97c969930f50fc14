"""The course of recovery as people read it: a chart with a row for each step, a sentence, a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import svg
from markupsafe import Markup

from blackstart.report import draw
from blackstart.report.draw import Span
from blackstart.report.recovery import episode_begins, felt
from blackstart.report.steps import DETECTED, PROMOTED, RECONNECTED, REROUTED, Course, Step, course
from blackstart.report.words import listed, moment, plural, secs

#: Episodes beyond this many are in the timeline only.
MAX_EPISODES = 4
_ROW = 46.0
_GOALS = {
    DETECTED: "until a component noticed",
    PROMOTED: "until another was primary",
    REROUTED: "until the proxy had changed its route",
    RECONNECTED: "until clients were served again",
}


def courses(
    events: Sequence[Mapping[str, Any]],
    measure: Mapping[str, Any],
    faults: Sequence[tuple[float, float]],
    load_end: float,
) -> list[Course]:
    """One for each episode of the run, in the order of time."""
    begins = episode_begins(faults)
    rows = felt(measure, faults, load_end)
    ends = [*begins[1:], float("inf")]
    return [
        course(events, begin, end, [row for of, row in rows if of == begin])
        for begin, end in zip(begins, ends, strict=False)
    ]


def view(found: Sequence[Course], zero: float) -> list[dict[str, Any]]:
    """For each episode: title, chart, caption, table; none of an episode of which nothing is told."""
    shown = [c for c in found if c.steps][:MAX_EPISODES]
    return [
        {
            "title": f"Fault at {moment(c.begin - zero)}" if len(found) > 1 else "",
            "chart": _chart(c, caption(c), with_hatch=n == 0),
            "caption": caption(c),
            "rows": [_row(step) for step in c.steps]
            + [[name, "not told", "–", why, ""] for name, why in c.missing.items()],
        }
        for n, c in enumerate(shown)
    ]


def caption(found: Course) -> str:
    """Where the time went, step by step, and which steps nobody tells of."""
    end = found.steps[-1]
    told = [s for s in found.steps if s.name != RECONNECTED]
    sentences = [_split(told, end) if end.name == RECONNECTED else _without_clients(told)]
    silent = [f"{name} ({why})" for name, why in found.missing.items() if name != RECONNECTED]
    if silent:
        sentences.append(f"Not told: {listed(silent)}.")
    return " ".join(sentences)


def _split(told: Sequence[Step], end: Step) -> str:
    """The time until clients were served again, split at the steps before that."""
    whole = end.lo if end.hi is None else end.hi
    early = [s for s in told if (s.hi or 0.0) <= whole]
    parts, last = [], 0.0
    for step in early:
        at = step.hi or 0.0
        parts.append(
            f"{secs(at - last)} went {_GOALS[step.name]}" + (f" ({step.source})" if step.source else "")
        )
        last = at
    late = [f"{step.name} was told only at {moment(step.hi or 0.0)}" for step in told if step not in early]
    if end.hi is None:
        parts.append(f"the rest in errors of {end.what}, which were not seen to end")
        return f"Of more than {secs(whole)}, {listed(parts)}." + _also(late)
    parts.append(f"{secs(whole - last)} {'more ' if early else 'went '}{_GOALS[RECONNECTED]}")
    return f"Of the {secs(whole)} that {end.what} took at most, {listed(parts)}." + _also(late)


def _without_clients(told: Sequence[Step]) -> str:
    parts = [f"{step.name} after {secs(step.hi)} ({step.source})" for step in told]
    return f"Clients felt no outage; the components tell: {listed(parts)}."


def _also(late: Sequence[str]) -> str:
    text = listed(list(late))
    return f" {text[:1].upper()}{text[1:]}." if late else ""


def _row(step: Step) -> list[str]:
    when = f"after {secs(step.lo)}, not seen" if step.hi is None else secs(step.hi)
    if step.name == RECONNECTED and step.hi is not None:
        when = f"{secs(step.lo)} to {secs(step.hi)}"
    return [step.name, when, step.source, step.what, step.error]


def _chart(found: Course, label: str, with_hatch: bool) -> Markup:
    """A row for each step, its bar beginning where the last one ended; hatched is where the step lies.

    The pattern is defined once a page, in the first chart.
    """
    latest = max(step.hi or step.lo for step in found.steps)
    span = Span(0.0, max(latest, 0.1) * 1.06)
    height = _ROW * len(found.steps)
    drawn: list[svg.Element] = [draw.hatch("hatch-course", "calm")] if with_hatch else []
    drawn += draw.axis(span, height, height - 22)
    last = 0.0
    for n, step in enumerate(found.steps):
        top, end = n * _ROW + 20, step.hi if step.hi is not None else span.end
        sure = min(max(step.lo, last), end) if step.name != RECONNECTED else step.lo
        drawn.append(draw.text(0, top - 6, step.name, "row-name", anchor="start"))
        drawn.append(draw.text(100, top - 6, _note(step), "row-note", anchor="end"))
        drawn.append(draw.line(0, top + 8, span.at(min(last, sure)), top + 8, "whisker"))
        begin, middle, right = span.at(min(last, sure)), span.at(sure), span.at(end)
        drawn.append(draw.rect(begin, top, max(0.2, middle - begin), 16, "leg"))
        if right > middle:
            drawn.append(draw.rect(middle, top, right - middle, 16, "leg-between"))
        if step.hi is not None:
            drawn.append(draw.line(right, top - 2, right, top + 18, "leg-end"))
            last = max(last, end)
    return draw.figure(drawn, height + draw.AXIS_HEIGHT, label)


def _note(step: Step) -> str:
    if step.hi is None:
        return f"not seen, more than {secs(step.lo)}"
    if step.name == RECONNECTED:
        return f"{step.what}: {secs(step.lo)} to {secs(step.hi)}"
    return f"{secs(step.hi)} · {step.source}"


def unshown(found: Sequence[Course]) -> str:
    """What to say of episodes that are not drawn; empty if all are."""
    more = len([c for c in found if c.steps]) - MAX_EPISODES
    return f"{plural(more, 'further episode')} are in the timeline." if more > 0 else ""
