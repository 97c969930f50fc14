"""The page over a session: every drill with its trials, control and placebo."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from blackstart.model.experiment import Control, run_name
from blackstart.model.verdict import Verdict, worst
from blackstart.report.build import environment, write
from blackstart.report.folder import findings, read_judged
from blackstart.report.matrix import SIGNS, Sabotage, matrix
from blackstart.report.redact import redact_page
from blackstart.report.view import title
from blackstart.report.words import bounds, count, plural, secs, share

_CONTROL = {"pass": "{} broke", "fail": "{} not caught", "unknown": "unknown"}


@dataclass
class Row:
    """One run in the table; one that was void and ran again has its row, and counts nowhere."""

    name: str
    proof: str
    href: str
    rto: str
    lost: str
    availability: str
    outcome: str


@dataclass
class Drill:
    """An experiment with its runs; `stack` is empty where all of the session's ran on one."""

    name: str
    title: str
    stack: str
    hypothesis: str
    verdict: str
    placebo: str | None
    spread: str
    rows: list[Row] = field(default_factory=list)
    objectives: list[str] = field(default_factory=list)
    sabotages: list[Sabotage] = field(default_factory=list)


def build(session_folder: Path, secrets: Iterable[str] = ()) -> Path:
    """Write index.html and summary.md over the runs below `session_folder`; returns the path of index.html.

    Raises EvidenceError for a malformed run.json.
    """
    secrets = tuple(secrets)
    drills = _drills(session_folder, secrets)
    context = {
        "drills": drills,
        "sentence": _sentence(drills),
        "verdict": str(_overall(drills)),
        "matrix": matrix(
            [s for drill in drills for s in drill.sabotages],
            [o for drill in drills for o in drill.objectives],
        ),
        "cell_signs": SIGNS,
    }
    for name in ("summary.md", "index.html"):
        page = environment().get_template(f"{name}.j2").render(context)
        written = write(session_folder / name, redact_page(page, secrets))
    return written


def _drills(session: Path, secrets: tuple[str, ...]) -> list[Drill]:
    grouped: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for file in sorted(session.rglob("run.json")):
        # `latest` and its like point at runs that are listed anyway.
        if any(p.is_symlink() for p in (file, *file.parents) if p != session and session in p.parents):
            continue
        run = read_judged(file.parent, secrets)
        grouped.setdefault(run["experiment"]["name"], []).append((file.parent, run))
    several = len({str(run["stack"]["name"]) for runs in grouped.values() for _, run in runs}) > 1
    return [_drill(session, name, runs, several) for name, runs in grouped.items()]


def _drill(session: Path, name: str, runs: list[tuple[Path, dict[str, Any]]], several: bool) -> Drill:
    order = {"drill": 0, "control": 1, "placebo": 2}
    runs = sorted(runs, key=lambda r: (order.get(r[1]["role"], 3), r[1]["trial"], str(r[1]["started"])))
    counted = [run for _, run in runs if not run["superseded"]]
    by_role = {role: [run for run in counted if run["role"] == role] for role in order}
    first = (by_role["drill"] or [runs[0][1]])[0]
    controls, placebos = by_role["control"], by_role["placebo"]
    return Drill(
        name,
        title(first),
        str(first["stack"]["name"] or "") if several else "",
        first["experiment"]["hypothesis"],
        str(worst(_verdict(r) for r in by_role["drill"]) if by_role["drill"] else Verdict.UNKNOWN),
        str(worst(map(_verdict, placebos))) if placebos else None,
        spread(by_role["drill"]),
        [_row(session, folder, run) for folder, run in runs],
        list(first["experiment"]["objectives"]),
        [_sabotage(r) for r in controls],
    )


def spread(runs: list[dict[str, Any]]) -> str:
    """The distribution of RTO's upper bound over trials: n, median, maximum, and what the maximum bounds.

    The largest of n trials bounds the 95th percentile with confidence 1 - 0.95^n.
    """
    values, censored = [], 0
    for run in runs:
        rto = (run.get("measure") or {}).get("rto") or {}
        if rto.get("censored"):
            censored += 1
        elif rto.get("hi_s") is not None:
            values.append(float(rto["hi_s"]))
    if len(values) + censored < 2:
        return ""
    told = f"RTO (upper bound) over {len(values) + censored} trials: "
    if censored:
        return f"{told}{plural(censored, 'trial')} not seen to recover, so there is no maximum."
    confidence = math.floor((1 - 0.95 ** len(values)) * 100)
    return (
        f"{told}median {secs(median(values))}, maximum {secs(max(values))}, "
        f"which bounds the 95th percentile with {confidence} % confidence."
    )


def _row(session: Path, folder: Path, run: Mapping[str, Any]) -> Row:
    measure = run.get("measure") or {}
    rto, rpo = measure.get("rto") or {}, measure.get("rpo") or {}
    control, void = run["role"] == "control", run["superseded"]
    name = run_name(run["role"], run["trial"], run["control"]["variant"] if control else "")
    return Row(
        f"{name}, void" if void else name,
        "unknown" if void else run["proof"],
        quote((folder.relative_to(session) / "report.html").as_posix()),
        bounds(rto.get("lo_s"), rto.get("hi_s"), bool(rto.get("censored"))),
        count(rpo.get("lost")),
        share((measure.get("availability") or {}).get("during")),
        "run again" if void else _outcome(run),
    )


def _outcome(run: Mapping[str, Any]) -> str:
    if run["role"] == "control":
        return _CONTROL[run["proof"]].format(run["control"]["breaks"])
    return str(run["verdict"])


def _verdict(run: Mapping[str, Any]) -> Verdict:
    try:
        return Verdict(run.get("verdict", "unknown"))
    except ValueError:
        return Verdict.UNKNOWN


def _sabotage(run: Mapping[str, Any]) -> Sabotage:
    control = Control(str(run["control"]["variant"]), str(run["control"]["breaks"]))
    experiment = run["experiment"]
    return Sabotage.of(str(experiment["name"]), control, experiment["objectives"], findings(run))


def _overall(drills: list[Drill]) -> Verdict:
    """The worst of all drills; a control that caught nothing or a failing placebo counts as it must."""
    verdicts = [Verdict(d.verdict) for d in drills]
    verdicts += [s.proof for d in drills for s in d.sabotages]
    verdicts += [Verdict(d.placebo) for d in drills if d.placebo]
    return worst(verdicts) if drills else Verdict.UNKNOWN


def _sentence(drills: list[Drill]) -> str:
    if not drills:
        return "No run was found here."
    passed = sum(d.verdict == "pass" for d in drills)
    sabotages = [s for d in drills for s in d.sabotages]
    placebos = [d for d in drills if d.placebo is not None]
    told = [f"{passed} of {plural(len(drills), 'hypothesis', 'hypotheses')} held"]
    if sabotages:
        caught = sum(s.proof is Verdict.PASS for s in sabotages)
        told.append(f"{caught} of {plural(len(sabotages), 'negative control')} caught the sabotage")
    if placebos:
        quiet = sum(d.placebo == "pass" for d in placebos)
        told.append(f"{quiet} of {plural(len(placebos), 'placebo')} stayed quiet")
    missing = sum(not d.sabotages for d in drills)
    if missing:
        proves = "proves" if missing == 1 else "prove"
        told.append(f"{plural(missing, 'drill')} without a control {proves} little")
    return "; ".join(told) + "."
