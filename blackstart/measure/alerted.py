"""Whether the alert that an experiment expects came, from the events of the source `alert`; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from blackstart.history.records import Events
from blackstart.measure.judge import Finding
from blackstart.model.verdict import Verdict

#: What becomes of an alert, in this order, where its sources tell.
STEPS = ("pending", "firing", "received")


def alert_finding(events: Events, name: str) -> Finding:
    """Pass if the alert `name` came after the first fault had begun; `measured` says when.

    It came when it fired and, where an Alertmanager is watched, when that had received it.
    """
    told = [line for line in events.lines if line.get("source") == "alert"]
    if not told:
        return Finding("alert", name, "no alerts are observed", Verdict.UNKNOWN)
    if not events.faults:
        return Finding("alert", name, "there was no fault to be alerted of", Verdict.UNKNOWN)
    begin = min(fault.begin for fault in events.faults)
    if _firing([line for line in told if line["time"] < begin], name):
        return Finding("alert", name, "it was firing before the fault", Verdict.UNKNOWN)
    later = [line for line in told if line["time"] >= begin]
    first: dict[str, float] = {}
    for line in later:
        if line.get("alert") == name:
            first.setdefault(str(line["event"]), (line["time"] - begin) / 1e9)
    managed = any(line.get("tells") == "received" for line in told)
    if "firing" in first and ("received" in first or not managed):
        steps = ", ".join(f"{step} after {first[step]:.1f} s" for step in STEPS if step in first)
        return Finding("alert", name, steps, Verdict.PASS)
    if any(line["event"] == "unreachable" for line in later):
        return Finding("alert", name, "not seen, nor was always who would tell", Verdict.UNKNOWN)
    if "firing" in first:
        seen = f"firing after {first['firing']:.1f} s, but the Alertmanager never had it"
    else:
        seen = "pending, but it never fired" if "pending" in first else "it never fired"
    return Finding("alert", name, seen, Verdict.FAIL)


def _firing(told: Iterable[Mapping[str, Any]], name: str) -> bool:
    """Whether it fires still, for any labels, after these events."""
    firing: set[str] = set()
    for line in told:
        if line.get("alert") != name or line["event"] == "received":
            continue
        change = firing.add if line["event"] == "firing" else firing.discard
        change(str(line.get("labels")))
    return bool(firing)
