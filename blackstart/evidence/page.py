"""The printable page: one self-contained HTML file, made from the facts alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import ChoiceLoader, PackageLoader

from blackstart.evidence.limits import TO_FILL_IN
from blackstart.evidence.picture import course, lateness, recovery, shown_trial
from blackstart.evidence.trial import Facts, counted
from blackstart.model.experiment import run_name
from blackstart.report.build import environment
from blackstart.report.words import bound_words, bounds, plural, secs

#: Of a step's output so much is printed; the events have what was kept of it.
_OUTPUT = 160
#: So many digits of its code's hash: enough to compare by eye; evidence.json has all 64.
_DIGITS = 12


def page(facts: Facts) -> str:
    """The page of these facts; the same facts give the same page."""
    templates = environment().overlay(
        loader=ChoiceLoader([PackageLoader("blackstart.evidence"), PackageLoader("blackstart.report")])
    )
    templates.filters["bound"] = bound_words
    return templates.get_template("evidence.html.j2").render(
        facts=facts,
        recovery=recovery(facts["drills"]),
        drills=[_drill(drill) for drill in facts["drills"]],
        to_fill_in=TO_FILL_IN,
        fingerprint=grouped(facts["key"]),
    )


def grouped(fingerprint: str) -> str:
    """A fingerprint in groups of four, as people compare it."""
    return " ".join(fingerprint[n : n + 4] for n in range(0, len(fingerprint), 4))


def _drill(drill: Facts) -> dict[str, Any]:
    trials = counted(drill, "drill")
    shown = shown_trial(drill)
    return {
        **drill,
        "faults": _faults(dict.fromkeys(f["call"] for t in trials for f in t["faults"])),
        "backups": list(dict.fromkeys(str(r["from"]) for t in trials for r in t["restores"])),
        "rows": [_row(trial) for trial in drill["trials"]],
        "restores": [(_name(t), r) for t in trials for r in t["restores"]],
        "course": course(shown) if shown is not None else None,
        "steps": [_step(step) for step in shown["steps"]] if shown is not None else [],
        "steps_of": _name(shown) if shown is not None else "",
        "split": _split(shown) if shown is not None else [],
        "stacks": ", ".join(dict.fromkeys(t["stack"] for t in drill["trials"])),
        "aims": _aims(trials),
        "several": len(trials) > 1,
    }


def _faults(calls: Iterable[str]) -> list[str]:
    """Each kind of fault on each target once, as it was called first: trials differ in seeds and places."""
    like: dict[str, list[str]] = {}
    for call in calls:
        like.setdefault(call.partition(",")[0], []).append(call)
    return [f"{first}{f' and {len(more)} like it' if more else ''}" for first, *more in like.values()]


def _name(trial: Facts) -> str:
    return run_name(trial["role"], trial["number"], trial["variant"] or "")


def _row(trial: Facts) -> dict[str, Any]:
    measure = trial["measure"]
    rto, rpo = measure["rto"], measure["rpo"]
    broken = [f["objective"] for f in trial["findings"] if f["verdict"] == "fail"]
    return {
        "name": f"{_name(trial)}{', void' if trial['superseded'] else ''}",
        "proof": "unknown" if trial["superseded"] else trial["proof"],
        "word": _word(trial),
        "rto": bounds(rto["lo_s"], rto["hi_s"], bool(rto["censored"])),
        "lost": plural(rpo["lost"], "write"),
        "oldest": secs(rpo["oldest_s"]) if rpo["lost"] else "–",
        "broken": ", ".join(broken) or "none",
        "path": trial["path"],
        "started": trial["started"],
        "findings": trial["findings"],
    }


def _word(trial: Facts) -> str | None:
    if trial["superseded"]:
        return "run again"
    if trial["role"] != "control":
        return None
    words = {"pass": "{} broke, as it had to", "fail": "{} held: not caught", "unknown": "unknown"}
    return words[trial["proof"]].format(trial["breaks"])


def _aims(trials: list[Facts]) -> list[dict[str, Any]]:
    """RTO and RPO of the trials that were worst in them, and every target that another one missed."""
    if not trials:
        return []
    slowest = max(trials, key=lateness)
    losing = max(trials, key=lambda t: (t["measure"]["rpo"]["lost"], t["measure"]["rpo"]["oldest_s"] or 0.0))
    shown = [_aim(slowest, "rto"), _aim(losing, "rpo")]
    missed = [{**a, "trial": _name(t)} for t in trials for a in t["targets"] if a["verdict"] != "pass"]
    return [*shown, *(aim for aim in missed if aim not in shown)]


def _aim(trial: Facts, name: str) -> dict[str, Any]:
    """A target beside what was measured; the measurement alone where there is none."""
    for target in trial["targets"]:
        if target["objective"] == name:
            return {**target, "trial": _name(trial)}
    rto, rpo = trial["measure"]["rto"], trial["measure"]["rpo"]
    measured = (
        bounds(rto["lo_s"], rto["hi_s"], bool(rto["censored"]))
        if name == "rto"
        else f"{plural(rpo['lost'], 'write')} lost"
    )
    return {"objective": name, "bound": None, "measured": measured, "verdict": None, "trial": _name(trial)}


def _step(step: Facts) -> dict[str, Any]:
    lines = step["output"].strip().splitlines()
    last = lines[-1] if lines else ""
    return {
        **step,
        "outcome": "unknown" if step["stopped"] else "fail" if step["wrong"] else "pass",
        "word": _step_word(step),
        "took": secs(step["end_s"] - step["begin_s"]) if step["end_s"] is not None else "–",
        "code": step["sha256"][:_DIGITS],
        "said": last if len(last) <= _OUTPUT else f"{last[:_OUTPUT]} …",
    }


def _step_word(step: Facts) -> str:
    if step["exit"] is None:
        return "no end recorded" if step["end_s"] is None else "ended from outside"
    if step["must_fail"]:
        return f"exit {step['exit']}, {'not loudly' if step['wrong'] else 'loudly, as it must'}"
    return f"exit {step['exit']}"


def _split(trial: Facts) -> list[tuple[str, str]]:
    """Where the time of the first episode's recovery went, by phase."""
    if not trial["splits"]:
        return []
    return [(phase, secs(taken)) for phase, taken in trial["splits"][0]["phases_s"].items()]
