"""What a trial must show besides its objectives, from its events alone; and whether a control was caught.

The drill writes `trial` (its role) and `finding` (what it saw itself) into the events, so that
`blackstart measure` comes to the same verdict from the folder. A history without them is judged as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from blackstart.measure.alerted import alert_finding
from blackstart.measure.followed import runbook_findings, weakness_finding
from blackstart.measure.judge import Finding, baseline_finding, load_finding
from blackstart.measure.measured import Measured
from blackstart.model.verdict import Verdict

#: Findings without which a broken objective is no proof: nothing was injected, or clients were ill before.
GROUNDS = ("injection", "bite", "premise", "baseline", "load", "fault in force", "stopped", "weakness")
#: What the trial itself must show in time; void once a gate tripped.
IN_TIME = ("observe", "steady state", "outages", "alert", "runbook in time")


def trial_findings(found: Measured) -> list[Finding]:
    """The findings on the trial itself; none where the events name no trial."""
    trials = [line for line in found.events.lines if _is(line, "drill", "trial")]
    if not trials:
        return []
    told = [*_recorded(found), *runbook_findings(found.events)]
    if trials[-1].get("role") == "placebo":
        blank = [] if found.load.by_due else [load_finding(found)]
        return [*blank, *(_unless_void(f, found) for f in (*told, _outages(found)))]
    told = [_unless_void(f, found) for f in told]
    if trials[-1].get("role") == "control":
        told += weakness_finding(found.events, str(trials[-1].get("at") or ""))
    if expected := trials[-1].get("expects_alert"):
        told.append(_unless_void(alert_finding(found.events, str(expected)), found))
    if not found.events.faults:
        # Without a fault RTO is 0 by definition: a test that forgets to inject must not pass.
        if all(f.objective not in GROUNDS for f in told):
            told.append(Finding("injection", "at least one", "none", Verdict.UNKNOWN))
        return told
    if any(_is(line, "injection", "expired") for line in found.events.lines):
        text = "the engine undid it at its maximum duration: what recovered then is not the service"
        told.append(Finding("fault in force", None, text, Verdict.UNKNOWN))
    if lost := [line for line in found.events.lines if _is(line, "injection", "lost")]:
        kinds = ", ".join(str(line["fault"].get("kind")) for line in lost)
        text = f"the effect of {kinds} was gone before its undo: what clients saw may be without it"
        told.append(Finding("fault in force", None, text, Verdict.UNKNOWN))
    if found.events.objectives:  # without objectives these two are judged anyway
        told += [load_finding(found), baseline_finding(found)]
    return told


def control_verdict(findings: Iterable[Finding], breaks: str) -> Verdict:
    """Pass if the objective `breaks` failed on good grounds, fail if it did not, unknown if neither shows."""
    by_name = {f.objective: f.verdict for f in findings}
    if any(by_name.get(ground) is Verdict.UNKNOWN for ground in GROUNDS):
        return Verdict.UNKNOWN
    turned = {Verdict.FAIL: Verdict.PASS, Verdict.PASS: Verdict.FAIL}
    return turned.get(by_name.get(breaks, Verdict.UNKNOWN), Verdict.UNKNOWN)


def _recorded(found: Measured) -> Iterator[Finding]:
    for line in found.events.lines:
        if _is(line, "drill", "finding"):
            try:
                verdict = Verdict(line["verdict"])
            except (KeyError, ValueError):
                verdict = Verdict.UNKNOWN
            yield Finding(str(line.get("objective")), line.get("bound"), str(line.get("measured")), verdict)


def _unless_void(finding: Finding, found: Measured) -> Finding:
    if not found.events.gates or finding.objective not in IN_TIME or finding.verdict is not Verdict.FAIL:
        return finding
    return replace(finding, measured=f"{finding.measured}; void: a gate tripped", verdict=Verdict.UNKNOWN)


def _outages(found: Measured) -> Finding:
    n = len(found.outages)
    return Finding("outages", 0, f"{n} without any fault", Verdict.FAIL if n else Verdict.PASS)


def _is(line: dict[str, Any], source: str, event: str) -> bool:
    return line.get("source") == source and line.get("event") == event
