"""What came of a trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blackstart.measure.judge import Finding
from blackstart.measure.trial import IN_TIME, control_verdict
from blackstart.model.experiment import Control, Experiment, Role, run_name
from blackstart.model.objectives import LATENCIES
from blackstart.model.verdict import Verdict


@dataclass
class Result:
    """What came of a trial."""

    experiment: Experiment
    role: Role
    trial: int
    folder: Path
    verdict: Verdict
    findings: list[Finding]
    measured: dict[str, Any]
    checked: dict[str, Any]
    timings: dict[str, float]
    notes: list[str]
    control: Control | None = None
    recovery: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the trial is called in tables."""
        return run_name(self.role, self.trial, self.control.variant if self.control else "")

    @property
    def broke(self) -> list[str]:
        """Names of the objectives that failed."""
        return [f.objective for f in self.findings if f.verdict is Verdict.FAIL]

    @property
    def proof(self) -> Verdict:
        """Whether the trial shows what it is for: for a control, that the named objective broke."""
        if self.control is not None:
            return control_verdict(self.findings, self.control.breaks)
        return self.verdict

    @property
    def gated(self) -> bool:
        """Whether a gate, a premise or a baseline of no use, not the service, left it open."""
        if self.proof is not Verdict.UNKNOWN:
            return False
        gates = ("gates", "baseline", "premise", *LATENCIES, *IN_TIME)
        return any(f.objective in gates and f.verdict is Verdict.UNKNOWN for f in self.findings)
