"""What a trial leaves besides its history and events: `run.json`, and what the services logged."""

from __future__ import annotations

import json
import os
import platform as host_platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackstart.drill.result import Result
from blackstart.history.spans import SPANS, Line, spans_in, write_spans
from blackstart.model.errors import PlatformError
from blackstart.report.build import junit_properties
from blackstart.report.redact import redact, redact_deep

if TYPE_CHECKING:
    from blackstart.drill.attempt import Attempt
    from blackstart.drill.trial import Drill
    from blackstart.stack.running import RunningStack

_PACKAGES = (
    "blackstart",
    "pytest",
    "testcontainers",
    "docker",
    "toxiproxy-python",
    "httptools",
    "uvloop",
    "asyncpg",
    "redis",
)


def trial_event(drill: Drill, started: datetime) -> dict[str, Any]:
    """The fields of the event `trial`: which one it is, as `run.json` must say it too."""
    spec, control = drill.experiment, drill.control
    told = {
        "role": drill.role.value,
        "number": drill.trial,
        "experiment": spec.name,
        "hypothesis": spec.hypothesis,
        "controls": [each.variant for each in spec.controls],
        "expects_alert": spec.expects_alert,
        "started": started.isoformat(),
        **(control.to_dict() if control else {}),
    }
    masked: dict[str, Any] = redact_deep(told, drill.session.running.stack.secrets)
    return masked


def note_fault(
    faults: list[dict[str, Any]], now_s: float, source: str, event: str, *, fault: Any = None, **told: Any
) -> None:
    """Keep in `faults` what an event says of one: its begin, its bite, its end (seconds of the history)."""
    if event == "begin":
        faults.append({"source": source, "fault": fault, "begin_s": now_s, "end_s": None, **told})
    elif event == "end":
        for record in faults:
            if record["fault"] == fault and record["end_s"] is None:
                record["end_s"] = now_s
                break
    elif event == "bite":
        for record in reversed(faults):
            if record["fault"] == fault:
                record.update(told)
                break


def keep_logs(running: RunningStack, folder: Path, since: datetime) -> None:
    """Write what each service has logged since then to `logs/` in `folder`, and the spans among it to a file
    of their own, without secrets."""
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    spans: list[Line] = []
    for instance in running.stack.instances:
        try:
            text = running.platform.logs(running.container(instance.name), since=since)
        except PlatformError as error:
            text = f"no log: {error}\n"
        text = redact(text, running.stack.secrets)
        (logs / f"{instance.name}.log").write_text(text)
        spans += spans_in(text, instance.name)
    write_spans(folder / SPANS, spans)


def write_run(attempt: Attempt, result: Result, wall: datetime) -> None:
    """Write `run.json` into the trial's folder."""
    running = attempt.running
    drill = attempt.drill
    configuration = running.stack.configuration
    data: dict[str, Any] = {
        "schema": 1,
        "run_id": drill.session.report_id,
        "experiment": result.experiment.to_dict(),
        "runbook_path": os.path.relpath(drill.runbook, result.folder) if drill.runbook else None,
        "role": result.role.value,
        "control": result.control.to_dict() if result.control else None,
        "trial": result.trial,
        "seed": drill.seed,
        "started": wall.isoformat(),
        "duration_s": round((datetime.now(UTC) - wall).total_seconds(), 3),
        "verdict": result.verdict.value,
        "proof": result.proof.value,
        "findings": [
            {"objective": f.objective, "bound": f.bound, "measured": f.measured, "verdict": f.verdict.value}
            for f in result.findings
        ],
        "measure": result.measured,
        "check": result.checked,
        "recovery": result.recovery,
        "stack": {
            "name": running.stack.name,
            "run_id": running.run_id,
            "start_s": round(drill.session.started_s, 2),
            "edges": len(running.stack.edges),
            "instances": [
                {"name": i.name, "service": i.service, "zone": i.zone, **_image(attempt, i.name)}
                for i in running.stack.instances
            ],
        },
        "configuration": configuration(running) if configuration else {},
        "versions": {"python": host_platform.python_version(), "engine": _engine(attempt), **_versions()},
        "host": {
            "system": host_platform.platform(),
            "cores": os.cpu_count(),
            "memory_mib": _memory_mib(),
        },
        "faults": attempt.faults,
        "gates": attempt.gates.tripped,
        "timings": {f"{k}_s": round(v, 3) for k, v in result.timings.items()},
        "command": drill.command,
        "schedule": attempt.schedule,
        "load": attempt.plan.public_dict(),
        "related": {},
        "notes": result.notes,
    }
    text = json.dumps(redact_deep(data, running.stack.secrets), indent=2, default=str)
    (result.folder / "run.json").write_text(text + "\n")


def properties(result: Result) -> list[tuple[str, object]]:
    """What JUnit is told of a trial."""
    run = json.loads((result.folder / "run.json").read_text())
    return [*junit_properties(run).items(), ("blackstart.report", str(result.folder / "report.html"))]


def supersede(result: Result) -> None:
    """Mark a trial that a gate left open and that is run again: its figures are no longer counted."""
    path = result.folder / "run.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "superseded": True}, indent=2) + "\n")


def _image(attempt: Attempt, instance: str) -> dict[str, str]:
    attributes = attempt.session.platform.inspect(attempt.running.container(instance))
    return {"image": str(attributes["Config"]["Image"]), "digest": str(attributes["Image"])}


def _engine(attempt: Attempt) -> str:
    return str(attempt.session.platform.client.version().get("Version", "unknown"))


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _memory_mib() -> int | None:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    return int(meminfo.read_text().split()[1]) // 1024
