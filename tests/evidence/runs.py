"""A synthetic run with a drill, its control and its placebo, as the tests of evidence need it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blackstart.measure.run import evaluate
from blackstart.measure.trial import control_verdict
from tests.report.synth import NS, Synth

RUN_ID = "20260115-093000-ab12"
DRILL = "test_primary_crash"
#: Always the same, so that what is built is.
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
LABEL = "20260115-092000F_20260115-092500I"
CHECKS = {
    "amcheck": {"passed": True, "detail": "no corruption in 14 indexes"},
    "rows <b>": {"passed": True, "detail": "1204 of 1204, equal digests"},
}


def synth(**changes: Any) -> Synth:
    """A trial of 24 s at a low rate; the primary is killed at 8 s, and writes are back 1.5 s later."""
    declared: dict[str, Any] = {"seconds": 24.0, "begin": 8.02, "end": 16.4}
    declared["rates"] = {"sql_write": 40.0, "chat": 4.0}
    return Synth(**{**declared, **changes})


def a_run(reports: Path) -> Path:
    """The folder of a run below `reports`."""
    folder = reports / RUN_ID
    trial = synth().write(folder / DRILL / "trial-1")
    add(trial, *restored(), *followed())
    synth(seed=8, lose=3).write(folder / DRILL / "control-async-replication", role="control")
    synth(seed=9, fault=False).write(folder / DRILL / "placebo", role="placebo")
    named(folder / DRILL / "control-async-replication", "control")
    named(folder / DRILL / "placebo", "placebo")
    for each in sorted(folder.rglob("run.json")):
        edit(each.parent, run_id=RUN_ID, trial=1)
        record(each.parent)
    return folder


def edit(folder: Path, /, **changes: Any) -> None:
    """Change what the trial's run.json says."""
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}, indent=2) + "\n")


def record(trial: Path) -> None:
    """Let run.json say what the histories give, as after a drill."""
    found = evaluate(trial)
    run = json.loads((trial / "run.json").read_text())
    control = run["control"]
    proof = control_verdict(found.findings, control["breaks"]) if control else found.verdict
    findings = [
        {"objective": f.objective, "bound": f.bound, "measured": f.measured, "verdict": f.verdict.value}
        for f in found.findings
    ]
    told = {"verdict": found.verdict.value, "proof": proof.value, "measure": found.to_dict()}
    edit(trial, **told, check=found.checked(), findings=findings)


def add(trial: Path, *events: dict[str, Any]) -> None:
    """Put events where their time says."""
    path = trial / "events.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = sorted([*lines, *events], key=lambda line: line["time"])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def named(trial: Path, role: str, number: int = 1) -> None:
    """Let the events say which trial it is, as a drill does at its start."""
    control = {"variant": "async-replication", "breaks": "lost"} if role == "control" else {}
    run = json.loads((trial / "run.json").read_text())
    spec = run["experiment"]
    what = {"experiment": spec["name"], "hypothesis": spec["hypothesis"], "started": run["started"]}
    controls = [each["variant"] for each in spec["controls"]]
    told = {"role": role, "number": number, "controls": controls, "expects_alert": None, **what, **control}
    add(trial, at(0.0, "drill", "trial", **told))


def restored() -> list[dict[str, Any]]:
    """What `drill.record_restore` writes."""
    told = {"what": "table turns", "from": LABEL, "into": "restore-1", "type": "time", "timeline": 2}
    target = "2026-01-15 09:30:08.020+00"
    return [at(13.0, "restore", "restored", **told, target=target, checks=CHECKS)]


def followed() -> list[dict[str, Any]]:
    """Three steps of a runbook, as `drill.follow` writes them."""
    steps = (("find", "detect", 8.6, 9.0), ("restore", "copy", 9.0, 12.1), ("compare", "verify", 12.1, 12.9))
    told, code = {"runbook": "rows-deleted"}, "a1" * 32
    return [
        event
        for name, phase, begin, end in steps
        for event in (
            at(begin, "runbook", "begin", **told, step=name, phase=phase, sha256=code),
            at(
                end,
                "runbook",
                "end",
                **told,
                step=name,
                phase=phase,
                exit=0,
                output=f"line 1\n{name} is done\n",
            ),
        )
    ]


def at(seconds: float, source: str, event: str, **fields: Any) -> dict[str, Any]:
    """An event at so many seconds."""
    return {"time": round(seconds * NS), "source": source, "event": event, **fields}
