"""From collected tests to a plan: every drill rehearsed against the declaration of its stack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blackstart.drill.declare import ATTRIBUTE
from blackstart.drill.rehearsal import OnStack, Rehearsal, rehearse
from blackstart.model.errors import ConfigError
from blackstart.model.experiment import Experiment, Role
from blackstart.model.stack import Stack
from blackstart.report.past import PastRun, past_runs
from blackstart.stack.declared import load_stack

#: Where the plugin keeps a session's plan.
PLAN: pytest.StashKey[Plan] = pytest.StashKey()


@dataclass
class Planned:
    """What a session would do on one stack; `error` says why that is not there. `past`: its earlier runs."""

    stack: Stack | None = None
    error: str = ""
    rehearsals: list[Rehearsal] = field(default_factory=list)
    past: list[PastRun] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether everything in it is declared as it must be."""
        return not self.error and not any(r.error for r in self.rehearsals)


@dataclass
class Plan:
    """What a session would do, by the names of the stacks, in turn ("" for the project's first).

    `others`: collected tests that are no experiments, by node id.
    """

    stacks: dict[str, Planned] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether everything in it is declared as it must be."""
        return all(here.sound for here in self.stacks.values())


def planned(items: Iterable[pytest.Item], root: Path, reports: Path) -> Plan:
    """Rehearse the drills among `items`; no fixture is set up, nothing is touched.

    What is wrong with the declaration or a drill is told in the result, not raised.
    """
    plan = Plan()
    for item in items:
        spec: Experiment | None = getattr(getattr(item, "obj", None), ATTRIBUTE, None)
        if spec is None:
            plan.others.append(item.nodeid)
            continue
        if spec.stack not in plan.stacks:
            plan.stacks[spec.stack] = nothing_on(spec.stack, root, reports)
        here = plan.stacks[spec.stack]
        here.rehearsals.append(_rehearsed(item, spec, here.stack, root))
    return plan


def nothing_on(name: str, root: Path, reports: Path) -> Planned:
    """The stack `name` with its earlier runs, or why it is not there; no drill yet."""
    here = Planned()
    try:
        here.stack = load_stack(root, name)
        here.past = past_runs(reports, here.stack.name)
    except ConfigError as error:
        here.error = f"ConfigError: {error}"
    return here


def _rehearsed(item: pytest.Item, spec: Experiment, stack: Stack | None, root: Path) -> Rehearsal:
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    role, trial, control = params.get("drill", (Role.DRILL, 1, None))
    rehearsal = Rehearsal(spec, role, trial, control, runbooks=root / "runbooks")
    if stack is None:
        return rehearsal
    try:
        spec.validate(stack.variants, root / "runbooks")
        if control is not None:
            for fault in stack.variant(control.variant).faults:
                fault.validate(stack)
    except ConfigError as error:
        rehearsal.error = f"ConfigError: {error}"
    wrong = rehearsal.error
    assert isinstance(item, pytest.Function)
    rehearse(rehearsal, stack, item.obj, _arguments(item, params))
    rehearsal.error = wrong or rehearsal.error
    return rehearsal


def _arguments(item: pytest.Function, params: dict[str, Any]) -> dict[str, Any]:
    """Parameters as they are, and in place of every fixture something that may not be used."""
    direct = {name for mark in item.iter_markers("parametrize") for name in _direct(mark)}
    wanted = item._fixtureinfo.argnames  # what the function itself takes; pytest has no public name for it
    return {
        name: params[name] if name in direct else OnStack(f"the fixture {name!r}")
        for name in wanted
        if name != "drill"
    }


def _direct(mark: pytest.Mark) -> list[str]:
    """The names that a `parametrize` mark gives values, not fixtures, for."""
    names = mark.args[0] if mark.args else mark.kwargs["argnames"]
    listed = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    indirect = mark.kwargs.get("indirect", False)
    return [] if indirect is True else [n for n in listed if n not in (indirect or ())]
