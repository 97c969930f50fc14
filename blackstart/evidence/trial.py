"""One trial's facts: its figures measured again from the history, its restores, the runbook's steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from blackstart.measure.followed import RunbookStep, steps_of
from blackstart.measure.judge import Finding, judge
from blackstart.measure.run import Evaluation, evaluate
from blackstart.measure.trial import control_verdict
from blackstart.model.errors import ConfigError, EvidenceError
from blackstart.model.verdict import Verdict
from blackstart.report.about import fault
from blackstart.report.redact import redact_deep

Facts = dict[str, Any]
Event = Mapping[str, Any]

#: What the objectives bound that a target is compared with, where no target was given for the whole run.
_BOUNDED = ("rto", "rpo")
#: A fault is stamped for run.json and for the events one after the other: at most so many seconds apart.
_STAMPED_S = 1.0


def trial(folder: Path, path: str, run: Mapping[str, Any], targets: Mapping[str, str]) -> Facts:
    """The facts of the trial in `folder`, which evidence calls `path`; `run` is its run.json as read.

    Verdict, figures and findings are computed from history and events. Raises EvidenceError where those are
    unusable, or where run.json says otherwise.
    """
    found = evaluate(folder)
    events = found.figures.events.lines
    _is_the_trial(folder, run, events)
    faults = _faults(events)
    control = run["control"] if run["role"] == "control" else None
    proof = control_verdict(found.findings, str(control["breaks"])) if control else found.verdict
    _agree(folder, run, found, proof)
    _agree_on_faults(folder, run, faults)
    return {
        "path": path,
        "stack": str(run["stack"]["name"] or ""),
        "role": str(run["role"]),
        "number": int(run["trial"]),
        "variant": str(control["variant"]) if control else None,
        "breaks": str(control["breaks"]) if control else None,
        "superseded": bool(run["superseded"]),
        "started": run["started"],
        "duration_s": run["duration_s"],
        "verdict": found.verdict.value,
        "proof": proof.value,
        "measure": found.to_dict(),
        "check": found.checked(),
        "findings": [_told(f) for f in found.findings],
        "targets": _targets(found, targets, str(run["role"])),
        "faults": [_fault(each) for each in faults],
        "episode_s": found.figures.episodes[0].begin / 1e9 if found.figures.episodes else None,
        "restores": [_restore(e) for e in events if _is(e, "restore", "restored")],
        "steps": [_step(step) for step in steps_of(events)],
        "splits": [split.to_dict() for split in found.splits()],
        "gates": sorted(set(found.figures.events.gates)),
        "seed": run["seed"],
        "command": str(run["command"]),
        "notes": [str(note) for note in run["notes"]],
    }


def counted(drill: Mapping[str, Any], role: str) -> list[Facts]:
    """The drill's trials in this role, without those that were void and run again."""
    return [t for t in drill["trials"] if t["role"] == role and not t["superseded"]]


def _is_the_trial(folder: Path, run: Mapping[str, Any], events: Iterable[Event]) -> None:
    """EvidenceError where run.json calls the trial another one than its events do: what counts hangs on it.

    Events of earlier versions tell less; what they do not tell is not compared.
    """
    trials = [event for event in events if _is(event, "drill", "trial")]
    role = run["role"]
    if not trials and role != "drill":
        raise EvidenceError(
            str(folder / "run.json"),
            f"its role is {role!r}, and events.jsonl has no event drill/trial that says so: nothing shows "
            "that the trial was no drill",
        )
    control = run["control"] if role == "control" else {}
    called = {
        "role": role,
        "number": run["trial"],
        "started": run["started"],
        "experiment": run["experiment"]["name"],
        "hypothesis": run["experiment"]["hypothesis"],
        "controls": [each["variant"] for each in run["experiment"]["controls"]],
        **{n: control.get(n) for n in ("variant", "breaks", "at")},
    }
    told = trials[-1] if trials else {}
    if wrong := [name for name in called if name in told and _as_recorded(told[name]) != called[name]]:
        raise EvidenceError(
            str(folder / "run.json"),
            f"its {', '.join(wrong)} differs from what events.jsonl says of the trial (drill/trial): one of "
            "them was changed after the trial",
        )


def _agree(folder: Path, run: Mapping[str, Any], found: Evaluation, proof: Verdict) -> None:
    """EvidenceError where run.json, written as the trial ended, says otherwise than its history."""
    recorded = [[f.get("objective"), f.get("bound"), f.get("verdict")] for f in run.get("findings") or ()]
    computed = [[f.objective, f.bound, f.verdict.value] for f in found.findings]
    pairs = (
        ("verdict", run.get("verdict"), found.verdict.value),
        ("proof", run.get("proof"), proof.value),
        ("measure", run.get("measure"), found.to_dict()),
        ("check", run.get("check"), found.checked()),
        ("findings", recorded or None, computed),
    )
    wrong = [name for name, told, is_so in pairs if told is not None and told != _as_recorded(is_so)]
    if wrong:
        raise EvidenceError(
            str(folder / "run.json"),
            f"its {', '.join(wrong)} differs from what history.jsonl and events.jsonl give: one of them was "
            "changed after the trial, or another version judged it; see `blackstart measure`",
        )
    if run["superseded"] and proof is not Verdict.UNKNOWN:
        raise EvidenceError(
            str(folder / "run.json"),
            f"says that the trial was void and run again (superseded), and its history gives {proof.value}: "
            "only one that is unknown is run again",
        )


def _faults(events: Iterable[Event]) -> list[Facts]:
    """The faults as the events tell them, in the form of run.json; times in seconds since the start."""
    found: list[Facts] = []
    for event in events:
        same = [each for each in found if each["fault"] == event.get("fault")]
        if _is(event, "fault", "begin"):
            told = {name: event.get(name) for name in ("fault", "targets", "bite")}
            found.append({**told, "begin_s": event["time"] / 1e9, "end_s": None})
        elif _is(event, "fault", "end"):
            next(each for each in same if each["end_s"] is None)["end_s"] = event["time"] / 1e9
        elif _is(event, "injection", "bite") and same:
            same[-1]["bite"] = event.get("bite")
    return found


def _agree_on_faults(folder: Path, run: Mapping[str, Any], faults: Iterable[Facts]) -> None:
    """EvidenceError where run.json lists other faults than the events; the two are stamped one by one."""
    listed = [each for each in run["faults"] if each.get("source", "fault") == "fault"]
    if _named(listed) != _as_recorded(_named(faults)) or not all(
        _near(one.get(end), other[end])
        for one, other in zip(listed, faults, strict=True)
        for end in ("begin_s", "end_s")
    ):
        raise EvidenceError(
            str(folder / "run.json"),
            "its faults differ from those of the events (events.jsonl): one of them was changed after the "
            "trial",
        )


def _named(faults: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    return [[each.get(name) for name in ("fault", "targets", "bite")] for each in faults]


def _near(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else abs(one - other) <= _STAMPED_S


def _as_recorded(data: Any) -> Any:
    """`data` as run.json has it: masked, and read back from JSON."""
    return json.loads(json.dumps(redact_deep(data), default=str))


def _targets(found: Evaluation, targets: Mapping[str, str], role: str) -> list[Facts]:
    """RTO and RPO against what they were to be: the run's targets, else the drill's own objectives."""
    if role != "drill":
        return []
    if not targets:
        return [_told(f) for f in found.findings if f.objective in _BOUNDED and f.bound is not None]
    try:
        judged = judge(found.figures, targets, found.figures.events.gates)
    except ConfigError as error:
        raise EvidenceError("targets", str(error)) from error
    return [_told(f) for f in judged if f.objective in targets and f.bound is not None]


def _told(finding: Finding) -> Facts:
    verdict: Verdict = finding.verdict
    return {
        "objective": finding.objective,
        "bound": finding.bound,
        "measured": finding.measured,
        "verdict": verdict.value,
    }


def _step(step: RunbookStep) -> Facts:
    """A runbook's step; times in seconds since the start, `wrong` is "" where it ended as it must."""
    return {
        "runbook": step.runbook,
        "step": step.name,
        "phase": step.phase,
        "sha256": step.sha256,
        "must_fail": bool(step.fails),
        "begin_s": step.begin / 1e9,
        "end_s": None if step.end is None else step.end / 1e9,
        "exit": step.exit,
        "stopped": step.unended,
        "wrong": step.wrong,
        "output": step.output,
    }


def _fault(record: Mapping[str, Any]) -> Facts:
    return {**fault(record), "begin_s": record.get("begin_s"), "end_s": record.get("end_s")}


def _restore(event: Event) -> Facts:
    checks = event.get("checks")
    return {
        "at_s": event["time"] / 1e9,
        **{name: event.get(name) for name in ("what", "from", "into", "type", "target", "timeline")},
        "checks": [
            {"name": str(name), "passed": _passed(told), "detail": _detail(told)}
            for name, told in (checks.items() if isinstance(checks, Mapping) else ())
        ],
    }


def _passed(told: Any) -> bool:
    """A check that does not say that it passed did not."""
    return (told.get("passed") if isinstance(told, Mapping) else told) is True


def _detail(told: Any) -> str:
    return str(told.get("detail") or "") if isinstance(told, Mapping) else ""


def _is(event: Event, source: str, name: str) -> bool:
    return event.get("source") == source and event.get("event") == name
