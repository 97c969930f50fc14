"""`--chaos-plan`: what a session would do, without touching anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from blackstart.model.experiment import Control, Experiment, Role

#: A run of an experiment: what it is, as which trial, with which control.
Run = tuple[Experiment, Role, int, Control | None]


def plan_lines(runs: Iterable[Run]) -> Iterator[str]:
    """Each experiment with its hypothesis, objectives and runbook, and its runs in order."""
    last = None
    for spec, role, trial, control in runs:
        if spec is not last:
            last = spec
            yield ""
            yield f"{spec.name}: {spec.hypothesis}"
            yield "  objectives: " + ", ".join(f"{k}={v!r}" for k, v in spec.objectives.to_dict().items())
            yield f"  runbook: runbooks/{spec.runbook}.md"
        if control is not None:
            yield f"  run: control, weakened by {control.variant!r}; {control.breaks!r} must break"
        elif role is Role.PLACEBO:
            yield "  run: placebo, no fault injected; no outage may be found"
        else:
            yield f"  run: trial {trial}"
