"""The sentences that a report opens with; every number in them is from the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blackstart.model.objectives import COUNTS
from blackstart.report.words import (
    CAUGHT,
    WORDS,
    bound_words,
    bounds,
    count,
    limit,
    listed,
    plural,
    secs,
    share,
)

Finding = Mapping[str, Any]
Run = Mapping[str, Any]

_COUNTED = {
    "lost": ("acknowledged write was lost", "acknowledged writes were lost"),
    "duplicate": ("write was applied more than once", "writes were applied more than once"),
    "resurrected": ("refused write was applied", "refused writes were applied"),
    "unexpected": ("entry was written by nobody", "entries were written by nobody"),
    "stale_reads": ("read was stale", "reads were stale"),
    "split_brain": (
        "write was acknowledged by a deposed primary",
        "writes were acknowledged by a deposed primary",
    ),
    "excess_calls": ("call was made that should not have been", "calls were made that should not have been"),
    "unsafe_commits": ("commit was acknowledged unsafely", "commits were acknowledged unsafely"),
    "failovers_missing": ("failover did not come about", "failovers did not come about"),
    "outages": ("outage was found", "outages were found"),
    "rows_missing": ("row is missing", "rows are missing"),
    "rows_unexpected": ("row is there that must not be", "rows are there that must not be"),
    "rows_changed": ("row is not as it was written", "rows are not as they were written"),
    "alerts_missing": ("alert did not come", "alerts did not come"),
    "undetected": ("damage went unnoticed", "damages went unnoticed"),
}
#: Share of the time to recovery from which on clients were out of service for practically all of it.
MOST = 0.8
_TOLD = {
    "rto": "RTO was {}",
    "rpo": "RPO was {}",
    "availability": "availability was {}",
    "checker": "the checker found {}",
    "runbook": "of the runbook, {}",
    "runbook in time": "of the runbook, {}",
}


def verdict_sentence(run: Run, acknowledged: int | None) -> str:
    """The verdict in one sentence, for a drill, a control or a placebo."""
    if run["role"] == "control":
        return _control(run)
    if run["role"] == "placebo":
        return _placebo(run)
    broken = _named(run["findings"], "fail")
    open_ = _named(run["findings"], "unknown")
    if run["verdict"] == "fail":
        what = listed(broken) if broken else recovery(run["measure"])
        return f"The hypothesis does not hold: {what}."
    if run["verdict"] == "unknown":
        return f"Neither held nor refuted: {listed(open_) if open_ else 'the evidence does not suffice'}."
    lost = run["measure"].get("rpo", {}).get("lost")
    if acknowledged:
        kept = f"none of {count(acknowledged)} acknowledged writes was lost"
        kept = kept if not lost else f"{count(lost)} of {count(acknowledged)} acknowledged writes were lost"
        return f"The hypothesis holds: {recovery(run['measure'])}, and {kept}."
    return f"The hypothesis holds: {recovery(run['measure'])}."


def badge(run: Run) -> tuple[str, str]:
    """Verdict and word to show; a control is there to fail, so what counts is whether it caught that."""
    if run["role"] != "control":
        return run["verdict"], WORDS[run["verdict"]]
    return run["proof"], CAUGHT[run["proof"]].capitalize()


def recovery(measure: Mapping[str, Any]) -> str:
    """What clients felt until when, in half a sentence."""
    rto = measure.get("rto") or {}
    if rto.get("f") is None:
        return "clients felt no outage"
    if rto.get("censored"):
        return f"{rto['f']} still had errors {secs(rto['lo_s'])} after the fault and was not seen to recover"
    after = bounds(rto["lo_s"], rto["hi_s"])
    told = f"clients were served again {after} after the fault (slowest kind: {rto['f']}"
    out = rto.get("unavailable_s")
    # Well in between: then the end of the last outage says little of how long service was gone.
    if out is not None and out < MOST * rto["hi_s"]:
        told += f", out of service for {secs(out)} of it"
    return f"{told})"


def _control(run: Run) -> str:
    breaks = run["control"]["breaks"]
    variant = run["control"]["variant"]
    broken = [f for f in run["findings"] if f["verdict"] == "fail"]
    if run["proof"] == "unknown":
        open_ = _named(run["findings"], "unknown")
        why = f": {listed(open_)}" if open_ else ""
        return f"Whether the control would have been caught is unknown{why}."
    for finding in broken:
        if finding["objective"] == breaks:
            weak = f"on the weakened stack ({variant})"
            return f"The control proves the drill: {weak} {_one(finding)}, as it must."
    others = f"; broken instead: {listed([f['objective'] for f in broken])}" if broken else ""
    return f"The control proves nothing: on the weakened stack ({variant}) {breaks} did not break{others}."


def _placebo(run: Run) -> str:
    if run["verdict"] == "pass":
        return "No false alarm: no fault was injected, no outage was found, every objective held."
    named = listed(_named(run["findings"], "fail") or _named(run["findings"], "unknown"))
    named = f": {named}" if named else ""
    if run["verdict"] == "unknown":
        return f"No fault was injected, and whether that stayed without alarm is unknown{named}."
    return f"False alarm: no fault was injected, yet the verdict is fail{named}."


def _named(findings: Sequence[Finding], verdict: str) -> list[str]:
    found = [f for f in findings if f["verdict"] == verdict]
    # The checker repeats what an objective has said more precisely.
    if verdict == "fail" and any(f["objective"] in COUNTS for f in found):
        found = [f for f in found if f["objective"] != "checker"]
    return [_one(f) for f in found]


def _one(finding: Finding) -> str:
    name, measured = str(finding["objective"]), str(finding["measured"])
    if finding["verdict"] == "unknown":
        return f"{name} ({measured})"
    if name in _COUNTED and measured.isdigit():
        told = plural(int(measured), *_COUNTED[name])
    else:
        told = _TOLD.get(name, f"{name}: {{}}").format(measured)
    bound = bound_words(name, finding.get("bound"))
    return told if bound == "–" else f"{told} (bound {bound})"


def lasted(outage: Mapping[str, Any], load_end: float) -> str:
    """How long an outage was: its bounds, or only the lower one if the load ended before it did."""
    return bounds(outage["lo_s"], outage["hi_s"], censored=unended(outage, load_end))


def unended(outage: Mapping[str, Any], load_end: float) -> bool:
    """Whether the end of the load stands in for an answer that never came."""
    return float(outage["end_s"]) >= load_end - 1e-6


def strip_caption(run: Run, bad: int, due: int, load_end: float) -> str:
    """The finding of the availability strip."""
    outages = run["measure"].get("outages") or []
    phases = run["measure"].get("availability") or {}
    kinds = list(dict.fromkeys(o["f"] for o in outages))
    if not outages:
        stray = run["measure"].get("strays") or []
        extra = f" {plural(len(stray), 'single failure')} stood alone." if stray else ""
        return f"No outage: {count(due - bad)} of {count(due)} operations were answered.{extra}"
    worst = max(outages, key=lambda o: float(o["hi_s"]))
    during = phases.get("during")
    rate = f" During the fault {share(during)} of operations were answered." if during is not None else ""
    return (
        f"{listed(kinds)} had {plural(len(outages), 'outage')}; the longest, of {worst['f']}, lasted "
        f"{lasted(worst, load_end)}.{rate} "
        f"In all, {count(bad)} of {count(due)} operations failed or stayed unanswered."
    )


def latency_caption(measure: Mapping[str, Any], millis: Any) -> str:
    """The finding of the latency panels."""
    phases = measure.get("latency_ms") or {}

    def p99(phase: str) -> float | None:
        value = (phases.get(phase) or {}).get("p99")
        return float(value) if value is not None else None

    before, during, after = p99("before"), p99("during"), p99("after")
    if during is None:
        return (
            f"p99 over all kinds was {millis(before)}."
            if before is not None
            else "No operation was answered."
        )
    told = f"rose from {millis(before)} before the fault to {millis(during)} during it"
    if before is not None and during <= before:
        told = f"did not rise: {millis(before)} before the fault, {millis(during)} during it"
    then = f", and was {millis(after)} after" if after is not None else ""
    return f"p99 over all kinds {told}{then}. Latency counts from the time an operation was due."


def recovery_caption(measure: Mapping[str, Any], bound: float | None) -> str:
    """The finding of the recovery chart."""
    rto = measure["rto"]
    if rto["censored"]:
        return f"{rto['f']} was not seen to recover: RTO is more than {secs(rto['lo_s'])}."
    told = f"RTO lies between {secs(rto['lo_s'])} and {secs(rto['hi_s'])} ({rto['f']})"
    if bound is None:
        return f"{told}; there is no bound."
    if rto["hi_s"] <= bound:
        return f"{told}, within the bound of {limit(bound)}."
    return f"{told}, {'over' if rto['lo_s'] > bound else 'on both sides of'} the bound of {limit(bound)}."
