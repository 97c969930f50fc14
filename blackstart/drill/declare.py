"""The `@experiment` decorator: a pytest function becomes a drill."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from blackstart.model.blast import BlastRadius
from blackstart.model.errors import HarnessError
from blackstart.model.experiment import Control, Experiment
from blackstart.model.objectives import Objectives

if TYPE_CHECKING:
    from blackstart.drill.trial import Drill
    from blackstart.stack.running import RunningStack

#: The attribute of a decorated test function that holds its Experiment.
ATTRIBUTE = "__blackstart__"


def experiment(
    *,
    hypothesis: str,
    runbook: str,
    objectives: Objectives,
    control: Control | tuple[Control, ...],
    expects_alert: str | None = None,
    load: Mapping[str, float] | None = None,
    blast_radius: BlastRadius | None = None,
    prepare: Callable[[RunningStack], None] | None = None,
    stack: str = "",
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a drill.

    The decorated function takes the fixture `drill`, and others; it injects faults and observes. Load,
    steady state, undo, judgement and report are done around it. It gets the marker `chaos`.

    `runbook` names a file `runbooks/<runbook>.md`. `control` names the stack variant on which the
    objective `breaks` must break; there may be several. `load` changes the stack's load for this drill, in
    operations per second by kind: a p99 needs hundreds of them. `blast_radius` widens what the drill may
    touch at a time. `expects_alert` names an alert that must begin to fire after the fault has begun.
    `prepare` puts the stack in the state that the hypothesis speaks of, before each trial, without load,
    and before a control's variant weakens it, which may make instances anew.
    `stack` is one of `[tool.blackstart.stacks]` (default: that of `[tool.blackstart] stack`); it is up while
    the drills that name it run.
    Raises ConfigError if the declaration contradicts itself.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        spec = Experiment(
            name=_name(function),
            hypothesis=hypothesis,
            runbook=runbook,
            objectives=objectives,
            controls=control if isinstance(control, tuple) else (control,),
            expects_alert=expects_alert,
            load=dict(load or {}),
            blast_radius=blast_radius or BlastRadius(),
            prepare=_told_apart(prepare) if prepare else None,
            stack=stack,
        )

        @functools.wraps(function)
        def run(drill: Drill, **fixtures: Any) -> None:
            drill.run(lambda drill: function(drill, **fixtures))

        setattr(run, ATTRIBUTE, spec)
        marked: Callable[..., None] = pytest.mark.chaos(run)
        return marked

    return decorate


def _told_apart(prepare: Callable[[RunningStack], None]) -> Callable[[RunningStack], None]:
    """Whatever goes wrong in it is trouble of the harness, no failed hypothesis."""

    @functools.wraps(prepare)
    def run(running: RunningStack) -> None:
        try:
            prepare(running)
        except HarnessError:
            raise
        except Exception as error:
            raise HarnessError(f"the drill's prepare failed: {type(error).__name__}: {error}") from error

    return run


def _name(function: Callable[..., None]) -> str:
    """`postgres.primary_crash` for `test_primary_crash` of `test_postgres.py`: two files may use a name."""
    module = function.__module__.rpartition(".")[2].removeprefix("test_")
    return f"{module}.{function.__name__.removeprefix('test_')}"
