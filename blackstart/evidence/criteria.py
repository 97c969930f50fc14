"""What auditors ask of recovery, and what a run has to say to it. A mapping, no certificate."""

from __future__ import annotations

from dataclasses import dataclass

from blackstart.evidence.trial import Facts, counted
from blackstart.report.words import listed, plural


@dataclass(frozen=True)
class Criterion:
    """A clause, what it asks in our words, and what evidence of this kind never shows of it."""

    framework: str
    clause: str
    asks: str
    shows: str
    leaves: str


_CRITERIA = (
    Criterion(
        "SOC 2, trust services criteria",
        "A1.2",
        "Backups and the means of recovery are built, run and watched, so that availability meets its aims.",
        "restores",
        "Scope and schedule of production's backups, off-site copies, protection of the buildings.",
    ),
    Criterion(
        "SOC 2, trust services criteria",
        "A1.3",
        "The procedures of the recovery plan are tested.",
        "runbooks",
        "That people other than the authors can follow them; that the tests recur.",
    ),
    Criterion(
        "ISO 22301:2019",
        "8.5",
        "A programme of exercises, with scenarios and aims, reports of each and action upon them.",
        "exercises",
        "The programme itself, its intervals, and what was done about findings.",
    ),
    Criterion(
        "DORA, Regulation (EU) 2022/2554",
        "Art. 12(2)",
        "Procedures for backup, restoration and recovery are tested periodically.",
        "restores",
        "The period: one run is one test.",
    ),
    Criterion(
        "DORA, Regulation (EU) 2022/2554",
        "Art. 12(7)",
        "Recovery is followed by checks that the data is whole.",
        "checks",
        "Reconciliation with other parties' systems.",
    ),
    Criterion(
        "DORA, Regulation (EU) 2022/2554",
        "Art. 25(1)",
        "Tests of systems and tools, among them scenario-based and end-to-end tests.",
        "exercises",
        "The testing programme as a whole and its other kinds of tests.",
    ),
)


def criteria(facts: Facts) -> list[dict[str, str]]:
    """Each clause with what these facts show of it."""
    shown = {
        "restores": _restores(facts),
        "runbooks": _runbooks(facts),
        "checks": _checks(facts),
        "exercises": _exercises(facts),
    }
    return [
        {
            "framework": c.framework,
            "clause": c.clause,
            "asks": c.asks,
            "shown": shown[c.shows],
            "not_shown": c.leaves,
        }
        for c in _CRITERIA
    ]


def _trials(facts: Facts) -> list[Facts]:
    return [trial for drill in facts["drills"] for trial in counted(drill, "drill")]


def _restores(facts: Facts) -> str:
    restores = [restore for trial in _trials(facts) for restore in trial["restores"]]
    if not restores:
        return "Nothing: no restore from a backup is recorded."
    labels = dict.fromkeys(str(restore["from"]) for restore in restores)
    return f"{plural(len(restores), 'restore')} from backup {listed(list(labels))}, each checked."


def _runbooks(facts: Facts) -> str:
    steps = [step for trial in _trials(facts) for step in trial["steps"]]
    if not steps:
        return "Nothing: no runbook was followed step by step."
    names = dict.fromkeys(step["runbook"] for step in steps)
    done = f"{sum(not step['wrong'] for step in steps)} of {plural(len(steps), 'step')} ended as they must"
    # Without the hash of what was executed nobody can compare it with a page.
    how = "as written" if all(step["sha256"] for step in steps) else "step by step"
    return f"{plural(len(names), 'runbook')} followed {how} ({listed(list(names))}): {done}."


def _checks(facts: Facts) -> str:
    trials = _trials(facts)
    checks = [check for trial in trials for restore in trial["restores"] for check in restore["checks"]]
    told = []
    if checks:
        held = sum(check["passed"] for check in checks)
        told.append(f"{held} of {plural(len(checks), 'check')} after a restore held")
    if read := [trial for trial in trials if trial["check"]["verdict"] != "unknown"]:
        lost = sum(trial["measure"]["rpo"]["lost"] for trial in read)
        told.append(
            f"closing reads of {plural(len(read), 'trial')} found {plural(lost, 'acknowledged write')} lost"
        )
    return f"{'; '.join(told).capitalize()}." if told else "Nothing: no check is recorded."


def _exercises(facts: Facts) -> str:
    drills = facts["drills"]
    controls = sum(len(drill["controls"]) for drill in drills)
    told = (
        f"{plural(len(drills), 'scenario')} with a hypothesis, targets and a verdict each, under client load"
    )
    return f"{told}, and {plural(controls, 'negative control')}." if controls else f"{told}."
