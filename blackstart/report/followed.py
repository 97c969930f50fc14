"""The runbook's steps as they were done, and where the recovery's time went by their phases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import svg
from markupsafe import Markup

from blackstart.measure.followed import RunbookStep, steps_of
from blackstart.measure.split import CLIENTS, ORDER, OTHER, Split, split
from blackstart.report import draw
from blackstart.report.draw import Span
from blackstart.report.recovery import episode_begins, felt
from blackstart.report.words import listed, moment, secs

_ROW = 42.0
_GOALS = {OTHER: "elsewhere", CLIENTS: "more until clients were served again"}


def view(
    events: Sequence[Mapping[str, Any]],
    measure: Mapping[str, Any],
    faults: Sequence[tuple[float, float]],
    load_end: float,
    zero: float,
) -> dict[str, Any] | None:
    """A figure for each episode in which steps were followed, and the steps; None where there were none."""
    steps = steps_of(events)
    if not steps:
        return None
    found = list(splits(steps, measure, faults, load_end))
    return {
        "figures": [
            {
                "title": f"fault at {moment(each.begin - zero)}" if len(found) > 1 else "",
                "chart": _chart(each, caption(each, kind)),
                "caption": caption(each, kind),
                "rows": _rows(each),
            }
            for each, kind in found
        ],
        "steps": [_step(step, zero) for step in steps],
        "said": [(f"{s.runbook}: {s.name}", s.output) for s in steps if s.output.strip()],
    }


def splits(
    steps: Sequence[RunbookStep],
    measure: Mapping[str, Any],
    faults: Sequence[tuple[float, float]],
    load_end: float,
) -> Iterator[tuple[Split, str]]:
    """Each episode with steps in it, and the kind of operation that was served again last, "" for none."""
    begins, rows = episode_begins(faults), felt(measure, faults, load_end)
    for begin, until in zip(begins, [*begins[1:], float("inf")], strict=False):
        mine = [row for of, row in rows if of == begin]
        worst = max(mine, key=lambda row: (row.censored, row.hi, row.lo), default=None)
        hi, censored = (worst.hi, worst.censored) if worst is not None else (0.0, False)
        if (each := split(steps, begin, until, hi, censored)) is not None:
            yield each, worst.kind if worst is not None else ""


def caption(found: Split, kind: str) -> str:
    """Where the time went until clients were served, and what was done after that."""
    if found.censored or not found.hi:
        steps = {phase: taken for phase, taken in found.seconds().items() if phase != CLIENTS}
        first = "Clients felt no outage" if not found.hi else f"{kind} was not seen to be served again"
        return f"{first}. Of the {secs(sum(steps.values()))} to the end of the last step, {_parts(steps)}."
    later = _afterwards(found)
    rest = f" Afterwards {_parts(later)}." if later else ""
    return f"Of the {secs(found.hi)} that {kind} took at most, {_parts(found.within_rto())}.{rest}"


def _parts(by_phase: Mapping[str, float]) -> str:
    words = [f"{secs(taken)} {_GOALS.get(phase, f'to {phase}')}" for phase, taken in by_phase.items()]
    number, _, goal = words[0].partition(" ")
    return listed([f"{number} went {goal}", *words[1:]])


def _afterwards(found: Split) -> dict[str, float]:
    within = found.within_rto()
    rest = {phase: taken - within.get(phase, 0.0) for phase, taken in found.seconds().items()}
    return {phase: taken for phase, taken in rest.items() if taken > 0.0005}


def _rows(found: Split) -> list[list[str]]:
    within, later = found.within_rto(), _afterwards(found)
    return [[phase, secs(within.get(phase)), secs(later.get(phase))] for phase in found.seconds()]


def _step(step: RunbookStep, zero: float) -> dict[str, str]:
    outcome, verdict = f"failed as it must, exit {step.exit}" if step.fails else "done", "pass"
    if step.wrong:
        outcome = step.wrong.removeprefix(f"{step.runbook}: {step.name} ")
        verdict = "unknown" if step.unended else "fail"
    return {
        "when": moment(step.begin / 1e9 - zero),
        "name": f"{step.runbook}: {step.name}",
        "phase": step.phase or "–",
        "took": "–" if step.end is None else secs(step.seconds),
        "outcome": outcome,
        "verdict": verdict,
    }


def _chart(found: Split, label: str) -> Markup:
    """A row for each phase, its bars where its time was; a rule where clients were served again."""
    phases = [phase for phase in ORDER if any(leg.phase == phase for leg in found.legs)]
    span = Span(0.0, max(found.end, found.hi, 0.1) * 1.06)
    height = _ROW * len(phases) + 16
    drawn: list[svg.Element] = draw.axis(span, height, height - 22)
    taken = found.seconds()
    for n, phase in enumerate(phases):
        top, legs = 16 + n * _ROW + 20, [leg for leg in found.legs if leg.phase == phase]
        names = ", ".join(dict.fromkeys(leg.step for leg in legs if leg.step))
        note = f"{secs(taken[phase])} · {names}" if names else secs(taken[phase])
        drawn.append(draw.text(0, top - 6, phase, "row-name", anchor="start"))
        drawn.append(draw.text(100, top - 6, note, "row-note", anchor="end"))
        for leg in legs:
            left, right = span.at(leg.begin), span.at(leg.end)
            drawn.append(draw.rect(left, top, max(0.2, right - left), 14, "leg"))
    if found.hi and not found.censored:
        x = span.at(found.hi)
        drawn.append(draw.line(x, 14, x, height, "bound"))
        words = f"clients served, {secs(found.hi)}"
        drawn.append(draw.text(x, 10, words, "row-note", anchor="end" if x > 50 else "start"))
    return draw.figure(drawn, height + draw.AXIS_HEIGHT, label)
