"""`--chaos-plan` in words: what a session would inject, where, for how long, how it ends, what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from blackstart.drill.attempt import BASELINE_S, CLIENT_LIMIT_S, PLACEBO_S, SETTLE_S
from blackstart.drill.planned import Plan, Planned
from blackstart.drill.rehearsal import Rehearsal, Step
from blackstart.faults import Fault, about
from blackstart.model.durations import seconds
from blackstart.model.errors import BlackstartError
from blackstart.model.experiment import Role
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack
from blackstart.report.past import PastRun, last
from blackstart.report.words import ago, fault_words, limit, listed, plural

#: Where there is no earlier run: seconds that a run takes beside what its body waits for, that weakening a
#: stack and mending it takes, that the stack takes to start; and the part of its limit a condition takes.
OVERHEAD_S, WEAKENING_S, START_S, CONDITION = 15.0, 8.0, 30.0, 1 / 6


def plan_lines(plan: Plan, now: datetime) -> Iterator[str]:
    """Each experiment with what its test does and its runs, then the total; `now` tells how old runs are."""
    yield from (f"ERROR: {here.error}" for here in plan.stacks.values() if here.error)
    for here in plan.stacks.values():
        for _, group in groupby(here.rehearsals, key=lambda r: (r.experiment, r.steps, r.needs, r.error)):
            runs = list(group)
            yield ""
            yield from _experiment(runs[0], here)
            yield "  runs:"
            for run in runs:
                yield _run(run, here, now)
                yield from _weakness(run, here)
    if plan.others:
        yield ""
        yield f"and {plural(len(plan.others), 'test')} beside the experiments, not looked into:"
        yield from (f"  {node}" for node in plan.others)
    if there := [here for here in plan.stacks.values() if here.stack is not None]:
        yield ""
        yield _total(there)


def _experiment(run: Rehearsal, plan: Planned) -> Iterator[str]:
    spec = run.experiment
    yield f"{spec.name}: {spec.hypothesis}"
    if name := plan.stack.name if plan.stack is not None else spec.stack:
        yield f"  stack: {name}"
    yield "  objectives: " + ", ".join(f"{k}={v!r}" for k, v in spec.objectives.to_dict().items())
    yield f"  runbook: runbooks/{spec.runbook}.md"
    if plan.stack is not None:
        yield f"  once clients have been well for {limit(BASELINE_S)}:"
        for number, step in enumerate(run.steps, 1):
            yield from (
                f"    {f'{number}.' if not n else '':3}{x}" for n, x in enumerate(_step(step, run, plan))
            )
    if run.error:
        yield f"  ERROR: {run.error}"
    elif run.needs:
        yield f"    from here on only a running stack can tell: the test asks for {run.needs}"
        past = last(plan.past, spec.name, Role.DRILL.value)
        if past is not None and (more := past.faults[len(run.faults) :]):
            yield f"    last time ({past.run_id}) it went on with: {listed([fault_words(f) for f in more])}"
    elif not run.faults and plan.stack is not None:
        yield "    nothing is injected: the verdict can be unknown at best"


def _step(step: Step, run: Rehearsal, plan: Planned) -> Iterator[str]:
    if step.fault is not None:
        assert plan.stack is not None
        first = f", at a random moment of {plan.stack.detector_period}" if step.number == 1 else ""
        yield f"inject {fault_words(step.fault.to_dict())}{first}"
        yield f"  where: {where(step.fault, plan.stack)}"
        yield f"  how long: {_how_long(step, run)}"
        yield from (f"  {line}" for line in _ending(step.fault))
    elif step.action == "undo":
        yield f"undo {run.faults[step.number - 1].kind}"
    elif step.action == "hold":
        yield f"hold for {limit(step.hold_s)} under load"
    elif step.action == "peak":
        yield f"clients come at {step.name}"
    elif step.action == "calm":
        yield "clients come as before"
    elif step.action == "count":
        yield f"count {step.name!r}"
    elif step.action == "follow":
        yield f"follow the runbook {step.name}; at most {limit(step.limit_s)}"
    elif step.until:
        yield (
            f"observe until {step.until}, at most {limit(step.limit_s)}; "
            f"then until clients are well, at most {limit(CLIENT_LIMIT_S)}"
        )
    else:
        most = max(step.limit_s, SETTLE_S + 1)
        yield f"observe until clients are well for {limit(SETTLE_S)}, at most {limit(most)}"


def where(fault: Fault, stack: Stack) -> str:
    """The instances that its selectors mean by the declaration."""
    if not fault.ends:
        return listed([i.name for group in fault.meant(stack) for i in group])
    return " to ".join(_meant(str(getattr(fault, name)), stack) for name in fault.ends)


def _meant(selector: str, stack: Stack) -> str:
    parsed = Selector.parse(selector)
    names = [i.name for i in parsed.candidates(stack)]
    if parsed.role:
        return f"whichever of {listed(names)} is {parsed.name}.{parsed.role} when it strikes"
    return names[0] if [parsed.name] == names else f"{listed(names)} (all of {selector})"


def _how_long(step: Step, run: Rehearsal) -> str:
    assert step.fault is not None
    after = run.steps[run.steps.index(step) + 1 :]
    ends = [n for n, s in enumerate(after) if s.action == "undo" and s.number == step.number]
    during = after[: ends[0]] if ends else after
    held = sum(s.hold_s for s in during)
    parts = [f"{limit(held)} of holds"] if held else []
    parts += ["the observation" for s in during if s.action == "observe"][:1]
    parts += ["the runbook" for s in during if s.action == "follow"][:1]
    most = f"{limit(seconds(step.fault.max_duration))} at most"
    if ends:
        return f"{' and '.join(parts) or 'not longer than it takes to strike'}, then it is undone; {most}"
    if run.needs:
        return f"{' and '.join([*parts, 'what follows'])}; {most}"
    return f"{' and '.join(parts) or 'no wait'}, then until the end of the drill undoes it; {most}"


def _ending(fault: Fault) -> Iterator[str]:
    try:
        told = about(fault.kind)
    except BlackstartError as error:  # a fault of the user's own may tell less
        yield f"undo: not told ({error})"
        yield f"ends in place: {'yes' if fault.expires_in_place else 'no'}"
    else:
        yield f"undo: {told.undo}"
        yield f"ends in place: {told.in_place}"


def _took_s(run: Rehearsal, plan: Planned) -> tuple[float, PastRun | None]:
    """Seconds that it takes, as the last run of its kind did, or an estimate where there is none."""
    past = last(plan.past, run.experiment.name, run.role.value, run.control.variant if run.control else "")
    return (past.took_s if past else estimate_s(run, plan.stack)), past


def _run(run: Rehearsal, plan: Planned, now: datetime) -> str:
    variant = run.control.variant if run.control else ""
    names = {Role.DRILL: f"trial {run.trial}", Role.PLACEBO: "placebo", Role.CONTROL: f"control {variant}"}
    notes = {Role.PLACEBO: "; nothing is injected, no outage may be found"}
    if run.control:
        notes[Role.CONTROL] = f"; {run.control.breaks!r} must break"
    took_s, past = _took_s(run, plan)
    least = "at least " if run.needs and not past else "about "
    basis = f"as last time ({_when(past, now)})" if past else "an estimate"
    return f"    {names[run.role]}: {least}{_round(took_s)}, {basis}{notes.get(run.role, '')}"


def estimate_s(run: Rehearsal, stack: Stack | None) -> float:
    """Seconds that a run is likely to take: typical overhead, declared waits, a share of the limits."""
    total = OVERHEAD_S + sum(step.hold_s for step in run.steps)
    observed = [step for step in run.steps if step.action == "observe"]
    if run.role is Role.PLACEBO:
        return total + PLACEBO_S * len(observed)
    if run.control and stack is not None and not run.error:
        total += WEAKENING_S + seconds(stack.variant(run.control.variant).lead)
    if run.faults and stack is not None:
        total += seconds(stack.detector_period) / 2
    total += sum(step.limit_s * CONDITION for step in run.steps if step.action == "follow")
    return total + sum(SETTLE_S + (step.limit_s * CONDITION if step.until else 0) for step in observed)


def _weakness(run: Rehearsal, plan: Planned) -> Iterator[str]:
    if run.control is None or plan.stack is None or run.error:
        return
    variant = plan.stack.variant(run.control.variant)
    yield f"      weakened first: {variant.description}"
    for fault in variant.faults:
        yield f"      and {variant.lead} before the drill's own fault: {fault_words(fault.to_dict())}"
        yield f"        where: {where(fault, plan.stack)}"


def _total(stacks: Sequence[Planned]) -> str:
    """All runs, and the start of each stack."""
    runs = [_took_s(run, here) for here in stacks for run in here.rehearsals]
    starts = [[past.start_s for past in here.past if past.start_s] for here in stacks]
    start_s = sum(known[-1] if known else START_S for known in starts)
    if not any(starts):
        basis = "an estimate"
    elif all(starts) and all(past for _, past in runs):
        basis = "as last time"
    else:
        basis = "in part an estimate"
    what, images = "the stack", "its images"
    if len(stacks) > 1:
        what, images = f"{len(stacks)} stacks, one at a time,", "their images"
    return (
        f"in total about {_round(sum(took_s for took_s, _ in runs) + start_s)}, {basis}: "
        f"{plural(len(runs), 'run')}, and {_round(start_s)} for {what} to start "
        f"(and to build {images}, where they are not there)"
    )


def _when(past: PastRun, now: datetime) -> str:
    return f"{past.run_id}, {ago((now - past.started).total_seconds())}, {past.proof.value}"


def _round(value_s: float) -> str:
    """Whole seconds: an estimate has no more."""
    minutes, rest = divmod(round(value_s), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
