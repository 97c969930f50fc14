"""From a plan to the map: what the drills strike, what registered faults could, what the last runs said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from blackstart.coverage.grid import Coverage, LastRun, Strike, coverage
from blackstart.coverage.places import Place, places, struck
from blackstart.drill.planned import Planned
from blackstart.drill.rehearsal import Rehearsal
from blackstart.faults import REGISTRY, Fault, about, fault_from_dict
from blackstart.model.errors import BlackstartError, ConfigError
from blackstart.model.experiment import Role
from blackstart.model.modes import Mode
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack
from blackstart.model.verdict import worst
from blackstart.report.past import PastRun, last
from blackstart.report.words import fault_words


def mapped(plan: Planned, now: datetime) -> Coverage:
    """The map of one stack and its drills. Raises ConfigError if the project does not declare it."""
    if plan.stack is None:
        raise ConfigError(plan.error.removeprefix("ConfigError: "))
    rows, notes = places(plan.stack), []
    strikes: list[Strike] = []
    for run in _drills(plan.rehearsals):
        past = last(plan.past, run.experiment.name, Role.DRILL.value)
        if run.error:
            notes.append(f"{run.experiment.name}: {run.error}")
        for fault, seen in _faults(run, past):
            here = [
                Strike(*_told(run), ends, fault.mode, _words(fault), _last(run, plan, past), seen)
                for ends in _struck(plan.stack, fault)
            ]
            strikes += here
            if not here:
                notes.append(
                    f"{run.experiment.name}: {_words(fault)} strikes an instance whose role only a running "
                    "stack can tell: it is in no cell"
                )
        if run.needs and past is None:
            notes.append(f"{run.experiment.name} asks for {run.needs}: what follows was never run")
    return coverage(
        plan.stack.name,
        rows,
        _possible(plan.stack, rows),
        dict.fromkeys(strikes),
        now,
        list(dict.fromkeys(notes)),
    )


def _drills(rehearsals: Sequence[Rehearsal]) -> list[Rehearsal]:
    """The first trial of each drill: others are the same, controls and placebos are not what it covers."""
    return [r for r in rehearsals if r.role is Role.DRILL and r.trial == 1]


def _faults(run: Rehearsal, past: PastRun | None) -> Iterator[tuple[Fault, bool]]:
    """What the test injects; beyond what can be known of it, what it injected last time."""
    yield from ((fault, False) for fault in run.faults)
    if not run.needs or past is None:
        return
    for data in past.faults[len(run.faults) :]:
        try:
            yield fault_from_dict(data), True
        except ConfigError:
            continue  # a fault that this version does not know any more


def _struck(stack: Stack, fault: Fault) -> tuple[tuple[str, ...], ...]:
    try:
        if fault.ends:
            return struck(stack, tuple(str(getattr(fault, name)) for name in fault.ends))
        meant = [i.name for group in fault.meant(stack) for i in group]
        return tuple(dict.fromkeys(place for name in meant for place in struck(stack, (name,))))
    except ConfigError:
        return ()


def _told(run: Rehearsal) -> tuple[str, str]:
    return run.experiment.name, run.experiment.runbook


def _words(fault: Fault) -> str:
    return fault_words(fault.to_dict())


def _last(run: Rehearsal, plan: Planned, past: PastRun | None) -> LastRun | None:
    if past is None:
        return None
    controls = [
        found.proof
        for control in run.experiment.controls
        if (found := last(plan.past, run.experiment.name, Role.CONTROL.value, control.variant))
    ]
    return LastRun(past.verdict, past.started, past.run_id, worst(controls) if controls else None)


def _possible(stack: Stack, rows: Sequence[Place]) -> dict[tuple[tuple[str, ...], Mode], str]:
    """By place and mode, the call of a registered fault that the stack's declaration admits there."""
    found: dict[tuple[tuple[str, ...], Mode], str] = {}
    for kind in REGISTRY:
        try:
            example = about(kind).prototype
        except BlackstartError:
            continue  # a fault of the user's own that tells less of itself
        for place in rows:
            if len(place.ends) == len(example.ends) and (at := _aimed(example, place, stack)):
                found.setdefault((place.ends, at.mode), _call(at))
    return found


def _aimed(example: Fault, place: Place, stack: Stack) -> Fault | None:
    """A fault of the example's kind at the place; None if the stack does not admit it there.

    One instance where that says enough, as the blast radius has it; a fault that takes a whole service, as a
    switchover, is tried with that.
    """
    source, *upstream = place.ends
    service = Selector.parse(source).name
    one = source if service in stack.roles and not upstream else _caller(stack, service, upstream)
    for name in dict.fromkeys((one, service)):
        ends: dict[str, Any] = dict(zip(example.ends, (name, *upstream), strict=True))
        try:
            aimed = _made(example, ends)
            if aimed.takes_out_of(stack) and place.instances == 1:
                aimed = replace(aimed, allow_total_loss=True)
            aimed.validate(stack)
            return aimed
        except ConfigError:
            continue
    return None


def _caller(stack: Stack, service: str, upstream: Sequence[str]) -> str:
    """The first instance of the service; with an upstream service, the first that calls it."""
    called = {i.name for name in upstream for i in stack.of(name)}
    return next(i.name for i in stack.of(service) if not upstream or called & set(i.calls))


def _made(example: Fault, ends: dict[str, Any]) -> Fault:
    """With the defaults of its kind; where those do not suffice, with the example's other parameters."""
    try:
        return type(example)(**ends)
    except TypeError:
        return replace(example, **ends)


def _call(fault: Fault) -> str:
    """As in a drill, what is left at its default left out: `edge_down("app", "redis")`."""
    given = [(f.name, getattr(fault, f.name)) for f in fields(fault) if f.name not in fault.ends]
    defaults = {f.name: f.default for f in fields(fault)}
    shown = [f'"{getattr(fault, name)}"' for name in fault.ends]
    shown += [f"{name}={value!r}" for name, value in given if value != defaults[name]]
    return f"{fault.kind}({', '.join(shown)})"
