"""Objective by control: which sabotage each objective noticed, and the resilience mutation score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blackstart.measure.judge import Finding
from blackstart.measure.trial import control_verdict
from blackstart.model.experiment import Control
from blackstart.model.verdict import Verdict

#: What a control showed of an objective, with the sign for where there is room for one character only.
CAUGHT, ELSEWHERE, MISSED, OPEN, HELD = "caught", "caught elsewhere", "NOT CAUGHT", "unknown", "held"
#: The status of an objective that no control was run for and none broke.
NONE = "no control"
SIGNS = {CAUGHT: "●", ELSEWHERE: "○", MISSED: "✕", OPEN: "?", HELD: "·", "": ""}


@dataclass(frozen=True)
class Sabotage:
    """A negative control that was run: which objective had to break, which there were, which broke.

    `proof` is pass if the named objective noticed, fail if it did not, unknown if the run does not show it.
    """

    drill: str
    variant: str
    breaks: str
    objectives: tuple[str, ...]
    broke: tuple[str, ...]
    proof: Verdict

    @classmethod
    def of(
        cls, drill: str, control: Control, objectives: Iterable[str], findings: Sequence[Finding]
    ) -> Sabotage:
        """What the findings of the control's run show."""
        broke = tuple(f.objective for f in findings if f.verdict is Verdict.FAIL)
        proof = control_verdict(findings, control.breaks)
        return cls(drill, control.variant, control.breaks, tuple(objectives), broke, proof)

    def cell(self, objective: str) -> str:
        """`caught` (named and broke), `caught elsewhere` (broke unasked), `NOT CAUGHT` (named, held),
        `unknown` (named, not shown), `held`; empty where the drill has no such objective.
        """
        if objective not in self.objectives:
            return ""
        if objective == self.breaks:
            return {Verdict.PASS: CAUGHT, Verdict.FAIL: MISSED}.get(self.proof, OPEN)
        return ELSEWHERE if objective in self.broke else HELD


@dataclass(frozen=True)
class Matrix:
    """`rows`: objective, its status over all controls, and a cell for each of `sabotages`."""

    sabotages: tuple[Sabotage, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def score(self) -> str:
        """The resilience mutation score: sabotages that the objective named for them noticed, of all run."""
        caught = sum(s.proof is Verdict.PASS for s in self.sabotages)
        return f"{caught} of {len(self.sabotages)} ({caught / len(self.sabotages):.0%})"


def matrix(sabotages: Iterable[Sabotage], objectives: Sequence[str]) -> Matrix | None:
    """The matrix over the objectives of a session's drills; None where no control was run."""
    run = tuple(sabotages)
    if not run:
        return None
    rows = []
    for objective in dict.fromkeys(objectives):
        cells = tuple(s.cell(objective) for s in run)
        status = next((c for c in (CAUGHT, ELSEWHERE, MISSED, OPEN) if c in cells), NONE)
        rows.append((objective, status, cells))
    return Matrix(run, tuple(rows))
