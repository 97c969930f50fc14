"""A run as a Chaos Toolkit journal, for tools that read those."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

#: Findings by which clients, or the whole stack, were not well before the fault or after it.
_BEFORE, _AFTER = ("baseline",), ("steady state", "rto")


def journal(run: Mapping[str, Any]) -> dict[str, Any]:
    """The journal of a run from run.json's data.

    `deviated` means that the hypothesis does not hold. A trial whose verdict is unknown is `failed`, which
    there means an experiment that could not be carried through. Times are UTC without an offset, as there.
    """
    start = datetime.fromisoformat(run["started"]) if run.get("started") else None
    experiment, faults = run["experiment"], run.get("faults") or []
    verdicts = {f["objective"]: f["verdict"] for f in run.get("findings") or ()}
    activities = [_activity(fault) for fault in faults]
    duration = float(run.get("duration_s") or 0.0)
    return {
        "chaoslib-version": "1.0",
        "platform": run.get("host", {}).get("system"),
        "node": run.get("stack", {}).get("name"),
        "experiment": {
            "version": "1.0.0",
            "title": str(experiment.get("name")),
            "description": str(experiment.get("hypothesis")),
            "tags": [str(run.get("role"))],
            "contributions": {"reliability": "high"},
            "steady-state-hypothesis": {"title": str(experiment.get("hypothesis")), "probes": []},
            "method": activities,
            "rollbacks": [{**a, "name": f"undo {a['name']}"} for a in activities],
        },
        "start": _at(start, 0.0),
        "end": _at(start, duration),
        "duration": duration,
        "status": "failed" if run.get("verdict") == "unknown" else "completed",
        "deviated": run.get("verdict") == "fail",
        "steady_states": {
            "before": _steady(verdicts, _BEFORE),
            "after": _steady(verdicts, _AFTER),
            "during": [],
        },
        "run": [
            {
                "activity": activity,
                "status": "succeeded" if fault.get("bite") else "failed",
                "output": fault.get("bite"),
                "start": _at(start, fault.get("begin_s")),
                "end": _at(start, fault.get("end_s")),
                "duration": _lasted(fault),
            }
            for activity, fault in zip(activities, faults, strict=True)
        ],
        "rollbacks": [
            {
                "activity": {**activity, "name": f"undo {activity['name']}"},
                "status": "succeeded" if fault.get("end_s") is not None else "failed",
                "start": _at(start, fault.get("end_s")),
                "end": _at(start, fault.get("end_s")),
                "duration": 0.0,
            }
            for activity, fault in zip(activities, faults, strict=True)
        ],
    }


def _activity(record: Mapping[str, Any]) -> dict[str, Any]:
    fault = dict(record.get("fault") or {})
    kind = str(fault.pop("kind", "fault"))
    provider = {"type": "python", "module": "blackstart.faults", "func": kind, "arguments": fault}
    return {"type": "action", "name": f"{kind} {fault.get('target', '')}".strip(), "provider": provider}


def _steady(verdicts: Mapping[str, str], names: tuple[str, ...]) -> dict[str, Any]:
    seen = [verdicts[name] for name in names if name in verdicts]
    return {"steady_state_met": all(verdict == "pass" for verdict in seen), "probes": []}


def _at(start: datetime | None, seconds: float | None) -> str | None:
    if start is None or seconds is None:
        return None
    return (start + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()


def _lasted(fault: Mapping[str, Any]) -> float | None:
    begin, end = fault.get("begin_s"), fault.get("end_s")
    return None if begin is None or end is None else float(end) - float(begin)
