"""What came of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.measure.judge import Finding
from blackstart.model.experiment import Experiment, Role
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

    @property
    def broke(self) -> list[str]:
        """Names of the objectives that failed."""
        return [f.objective for f in self.findings if f.verdict is Verdict.FAIL]

    @property
    def proved(self) -> bool:
        """Whether this trial shows what it is for; for a control, that the named objective broke."""
        if self.role is Role.CONTROL:
            return self.experiment.control.breaks in self.broke
        return self.verdict is Verdict.PASS
