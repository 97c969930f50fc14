"""An experiment as data: hypothesis, objectives, runbook, control."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from blackstart.model.errors import ConfigError
from blackstart.model.objectives import Objectives


class Role(StrEnum):
    """What a trial is for: the drill itself, its negative control, or its placebo."""

    DRILL = "drill"
    CONTROL = "control"
    PLACEBO = "placebo"


@dataclass(frozen=True)
class Control:
    """A negative control: on stack variant `variant` the objective named `breaks` must break."""

    variant: str
    breaks: str


@dataclass(frozen=True)
class Experiment:
    """What a drill claims, and how it is judged."""

    name: str
    hypothesis: str
    runbook: str
    objectives: Objectives
    control: Control
    expects_alert: str | None = None

    def __post_init__(self) -> None:
        if not self.hypothesis.strip():
            raise ConfigError(f"experiment {self.name!r} has no hypothesis")
        named = self.objectives.to_dict()
        if self.control.breaks not in named:
            raise ConfigError(
                f"experiment {self.name!r}: the control breaks {self.control.breaks!r}, "
                f"which is no objective of it; objectives: {', '.join(named)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """As recorded in `run.json`."""
        return {
            "name": self.name,
            "hypothesis": self.hypothesis,
            "runbook": self.runbook,
            "objectives": self.objectives.to_dict(),
            "control": {"variant": self.control.variant, "breaks": self.control.breaks},
            "expects_alert": self.expects_alert,
        }
