"""`blackstart measure`: a run's folder in, figures and verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.history.reader import read_events, read_history
from blackstart.measure.followed import steps_of
from blackstart.measure.judge import Finding, judge
from blackstart.measure.measured import Measured, measured
from blackstart.measure.rto import worst_of
from blackstart.measure.split import Split, split
from blackstart.measure.trial import trial_findings
from blackstart.model.errors import ConfigError, EvidenceError
from blackstart.model.verdict import Verdict, worst

HISTORY, EVENTS = "history.jsonl", "events.jsonl"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run, measured and judged; `notes` are for people (a line torn by a crash)."""

    figures: Measured
    findings: list[Finding]
    notes: list[str]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return worst(f.verdict for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The object of DESIGN section 6."""
        return {"verdict": self.verdict.value, **self.figures.to_dict()}

    def checked(self) -> dict[str, Any]:
        """What `blackstart check` says of the same history."""
        return self.figures.checked.to_dict()

    def splits(self) -> list[Split]:
        """Where the time went, for each episode in which steps of a runbook were followed."""
        found, steps = self.figures, steps_of(self.figures.events.lines)
        told = []
        for episode in found.episodes:
            worst = worst_of([r for r in found.recoveries if r.begin == episode.begin])
            until = float("inf") if episode.next is None else episode.next / 1e9
            told.append(split(steps, episode.begin / 1e9, until, worst.hi / 1e9, worst.censored))
        return [each for each in told if each is not None]


def evaluate(folder: str | Path) -> Evaluation:
    """Read `history.jsonl` and `events.jsonl` of `folder` once and judge; EvidenceError if unusable."""
    folder = Path(folder)
    history = read_history(folder / HISTORY)
    events = read_events(folder / EVENTS)
    found = measured(history, events)
    try:
        findings = [*judge(found, events.objectives, events.gates), *trial_findings(found)]
    except ConfigError as error:
        raise EvidenceError(str(folder / EVENTS), str(error), events.objectives_line) from error
    return Evaluation(found, findings, [*history.notes, *events.notes])


def measure(folder: str | Path) -> dict[str, Any]:
    """The JSON object that `blackstart measure` prints for a run's folder; EvidenceError if unusable."""
    return evaluate(folder).to_dict()
