"""An experiment as data: hypothesis, objectives, runbook, controls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from blackstart.model.blast import BlastRadius
from blackstart.model.errors import ConfigError
from blackstart.model.objectives import Objectives
from blackstart.model.stack import Variant


class Role(StrEnum):
    """What a trial is for: the drill itself, its negative control, or its placebo."""

    DRILL = "drill"
    CONTROL = "control"
    PLACEBO = "placebo"


def run_name(role: str, trial: int = 1, variant: str = "") -> str:
    """What an execution is called, in tables and, hyphenated, as a folder: `trial 2`, `control <variant>`."""
    if role == Role.DRILL:
        return f"trial {trial}"
    return f"{role} {variant}" if variant else str(role)


@dataclass(frozen=True)
class Control:
    """A negative control: on stack variant `variant` the objective named `breaks` must break.

    `at`: the runbook's step that must be the first to go wrong; "" if all must end as in the drill.
    """

    variant: str
    breaks: str
    at: str = ""

    def to_dict(self) -> dict[str, str]:
        """As recorded in `run.json`."""
        return {"variant": self.variant, "breaks": self.breaks, "at": self.at}


@dataclass(frozen=True)
class Experiment:
    """What a drill claims, and how it is judged.

    `load`: rates (1/s) by kind that differ from the stack's. `prepare` is called with the running stack
    before each trial, without load. `stack`: the name of the stack that it runs on; "" for the first.
    """

    name: str
    hypothesis: str
    runbook: str
    objectives: Objectives
    controls: tuple[Control, ...]
    expects_alert: str | None = None
    load: Mapping[str, float] = field(default_factory=dict)
    blast_radius: BlastRadius = field(default_factory=BlastRadius)
    prepare: Callable[[Any], None] | None = None
    stack: str = ""

    def __post_init__(self) -> None:
        if not self.hypothesis.strip():
            raise ConfigError(f"experiment {self.name!r} has no hypothesis")
        named = self.objectives.to_dict()
        for control in self.controls:
            if control.breaks not in named:
                raise ConfigError(
                    f"experiment {self.name!r}: the control breaks {control.breaks!r}, "
                    f"which is no objective of it; objectives: {', '.join(named)}"
                )
        if not self.controls:
            raise ConfigError(f"experiment {self.name!r} has no negative control: it proves nothing")
        if len({c.variant for c in self.controls}) < len(self.controls):
            raise ConfigError(f"experiment {self.name!r}: two controls on one variant")

    def validate(self, variants: Iterable[Variant], runbooks: Path) -> None:
        """ConfigError unless the stack has every control's variant and the folder the runbook."""
        known = [variant.name for variant in variants]
        for control in self.controls:
            if control.variant not in known:
                raise ConfigError(
                    f"experiment {self.name!r}: no variant {control.variant!r}; "
                    f"the stack has: {', '.join(known) or 'none'}"
                )
        if not (runbooks / f"{self.runbook}.md").is_file():
            there = ", ".join(sorted(p.stem for p in runbooks.glob("*.md"))) or "none"
            raise ConfigError(
                f"experiment {self.name!r}: no runbook {runbooks / self.runbook}.md; there are: {there}"
            )

    def to_dict(self) -> dict[str, Any]:
        """As recorded in `run.json`."""
        return {
            "name": self.name,
            "hypothesis": self.hypothesis,
            "runbook": self.runbook,
            "objectives": self.objectives.to_dict(),
            "controls": [control.to_dict() for control in self.controls],
            "expects_alert": self.expects_alert,
            "load": dict(self.load),
            "blast_radius": self.blast_radius.to_dict(),
            "stack": self.stack,
        }
