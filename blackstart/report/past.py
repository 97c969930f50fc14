"""What earlier runs left below the folder of reports: the last of each experiment, as it was run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blackstart.model.errors import EvidenceError
from blackstart.model.verdict import Verdict
from blackstart.report.folder import read_run


@dataclass(frozen=True)
class PastRun:
    """A run as its `run.json` tells. `faults` are those of the experiment, not of a weakened stack.

    `took_s` is from the beginning of its preparation to its verdict, `start_s` what the stack took to start.
    """

    experiment: str
    role: str
    variant: str
    verdict: Verdict
    proof: Verdict
    started: datetime
    took_s: float
    start_s: float
    run_id: str
    folder: Path
    faults: tuple[dict[str, Any], ...]


def past_runs(reports: Path, stack: str) -> list[PastRun]:
    """The runs of the stack called `stack` below `reports`, in order of their start.

    A run lies in `<session>/<experiment>/<trial>`; the committed example, links as `latest`, runs that were
    run again, and those whose `run.json` is unusable are left out.
    """
    found = []
    for file in reports.glob("*/*/*/run.json"):
        if any(path.is_symlink() for path in file.parents[:3]):
            continue
        try:
            run = read_run(file.parent)
            if run["stack"]["name"] == stack and not run["superseded"]:
                found.append(_past(run, file.parent))
        except (EvidenceError, KeyError, TypeError, ValueError):
            continue  # a run that was cut short or is of another version tells nothing
    return sorted(found, key=lambda run: run.started)


def last(runs: Iterable[PastRun], experiment: str, role: str, variant: str = "") -> PastRun | None:
    """The latest of `runs` (in order of their start) in this role; `variant` is a control's."""
    wanted = (experiment, role, variant)
    matching = [run for run in runs if (run.experiment, run.role, run.variant) == wanted]
    return matching[-1] if matching else None


def _past(run: dict[str, Any], folder: Path) -> PastRun:
    verdict = Verdict(run["verdict"])
    started = datetime.fromisoformat(run["started"])
    return PastRun(
        experiment=str(run["experiment"]["name"]),
        role=str(run["role"]),
        variant=str(run["control"]["variant"]),
        verdict=verdict,
        proof=Verdict(run.get("proof", verdict)),
        started=started if started.tzinfo else started.replace(tzinfo=UTC),
        took_s=float(run["duration_s"]) + float(run["timings"].get("prepare_s", 0.0)),
        start_s=float(run["stack"].get("start_s") or 0.0),
        run_id=str(run["run_id"]),
        folder=folder,
        faults=tuple(f["fault"] for f in run["faults"] if f.get("source") == "fault"),
    )
