"""After the last trial: each drill's report learns what its control and its placebo showed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blackstart.drill.result import Result
from blackstart.model.experiment import Role
from blackstart.report import summary
from blackstart.report.build import build


def relate(results: Iterable[Result], session_folder: Path, secrets: tuple[str, ...]) -> Path | None:
    """Write the relations, rebuild the drills' reports and the summary; return the summary's path.

    None if there are no results.
    """
    done = list(results)
    if not done:
        return None
    for result in done:
        if result.role is Role.DRILL:
            _write(result, [r for r in done if r.experiment.name == result.experiment.name], secrets)
    summary.build(session_folder, secrets)
    _point_latest(session_folder)
    return session_folder / "index.html"


def _write(result: Result, siblings: list[Result], secrets: tuple[str, ...]) -> None:
    path = result.folder / "run.json"
    data = json.loads(path.read_text())
    related: dict[str, Any] = {"controls": []}
    for sibling in siblings:
        if sibling.role is Role.DRILL:
            continue
        told = {
            "verdict": sibling.verdict.value,
            "proof": sibling.proof.value,
            "broke": sibling.broke,
            "path": os.path.relpath(sibling.folder / "report.html", result.folder),
        }
        if sibling.control is not None:
            related["controls"].append({**sibling.control.to_dict(), **told})
        else:
            related[sibling.role.value] = told
    if len(siblings) > 1:
        data["related"] = related
        path.write_text(json.dumps(data, indent=2) + "\n")
        build(result.folder, secrets)


def _point_latest(session_folder: Path) -> None:
    latest = session_folder.parent / "latest"
    fresh = session_folder.parent / f".latest-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(session_folder.name, target_is_directory=True)
    fresh.replace(latest)
