"""The `@experiment` decorator: a pytest function becomes a drill."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from blackstart.model.experiment import Control, Experiment
from blackstart.model.objectives import Objectives

if TYPE_CHECKING:
    from blackstart.drill.trial import Drill

#: The attribute of a decorated test function that holds its Experiment.
ATTRIBUTE = "__blackstart__"


def experiment(
    *,
    hypothesis: str,
    runbook: str,
    objectives: Objectives,
    control: Control,
    expects_alert: str | None = None,
) -> Callable[[Callable[[Drill], None]], Callable[[Drill], None]]:
    """Declare a drill.

    The decorated function takes the fixture `drill`; it injects faults and observes. Load, steady state,
    undo, judgement and report are done around it. It gets the marker `chaos`.

    `runbook` names a file `runbooks/<runbook>.md`. `control` names the stack variant on which the
    objective `breaks` must break. Raises ConfigError if the declaration contradicts itself.
    """

    def decorate(function: Callable[[Drill], None]) -> Callable[[Drill], None]:
        spec = Experiment(
            name=function.__name__.removeprefix("test_"),
            hypothesis=hypothesis,
            runbook=runbook,
            objectives=objectives,
            control=control,
            expects_alert=expects_alert,
        )

        @functools.wraps(function)
        def run(drill: Drill) -> None:
            drill.run(function)

        setattr(run, ATTRIBUTE, spec)
        return pytest.mark.chaos(run)

    return decorate
