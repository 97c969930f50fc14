"""What the evidence of a run cannot show, in plain words, and what a person has to add."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.evidence.trial import Facts, counted
from blackstart.report.words import listed, plural

#: What no machine can know. The page leaves room for each.
TO_FILL_IN = (
    "Carried out by (name, role)",
    "Observed by (name, role)",
    "How the drilled stack differs from production",
    "Agreed RTO and RPO, and where they are agreed",
    "Findings, actions, owners and dates",
    "Reviewed and approved by (name, date, signature)",
)


def limits(facts: Facts) -> list[str]:
    """The limits of these facts, the general ones first."""
    return [*_always(facts), *_of_trials(facts), *_of_restores(facts)]


def _always(facts: Facts) -> Iterator[str]:
    stack = facts["environment"]["stack"]
    yield (
        f"The drills ran against the stack {stack.get('name') or 'without a name'!r} of "
        f"{stack.get('instances', '?')} instances, with its data and on the host named here. Another size of "
        "data, another network or another machine gives other times."
    )
    yield (
        "Recovery time is what the clients of the load saw, as an interval: recovery came between its two "
        "ends. What no client asked for was not seen."
    )
    yield (
        "Lost writes are those that were acknowledged to the load's clients and that closing reads did not "
        "find. Their age counts from when each was sent to the begin of the fault that followed; it is 0 for "
        "what was sent after that, while the fault was taking effect. "
        "Data that this load did not write is covered only by the checks that a restore names."
    )
    yield (
        "The signature shows that nobody without the key has changed anything since it was made. It does not "
        "show who held the key, that the machine and its clock were honest, or when it was signed: dates are "
        "those of the run's own clock."
    )
    yield (
        "Evidence is made of the trials that were in the run's folder. One that was taken out as a whole "
        "before that is not seen, unless it leaves a gap in the numbers of a drill's trials: a gap is told."
    )
    yield (
        "Stack, configuration, versions, host, seeds, commands, notes and how long a whole trial took are as "
        "the drilling machine recorded them in each run.json: no history shows them."
    )
    yield "Who carried the drills out, watched and approved them is for people to fill in, below."


def _of_trials(facts: Facts) -> Iterator[str]:
    drills = facts["drills"]
    if single := [d["title"] for d in drills if len(counted(d, "drill")) == 1]:
        yield (
            f"Sample size 1: {listed(single)}. One trial shows that recovery worked once, and nothing of how "
            "much its time varies. Run more with --chaos-trials."
        )
    if none := [d["title"] for d in drills if not counted(d, "drill")]:
        yield f"Only controls or placebos were run of: {listed(none)}. Their drills show nothing here."
    if uncontrolled := [d["title"] for d in drills if not d["controls"]]:
        yield (
            f"No negative control was run of: {listed(uncontrolled)}. Nothing here shows that these drills "
            "would have noticed a failure."
        )
    for d in drills:
        last = max((t["number"] for t in d["trials"] if t["role"] == "drill"), default=0)
        there = len({t["number"] for t in counted(d, "drill")})
        if there < last:
            yield (
                f"A gap in the trials of {d['title']}: they are numbered up to {last}, and {there} counted. "
                "What the others showed is not known."
            )
    if void := [t["path"] for d in drills for t in d["trials"] if t["superseded"]]:
        yield f"Void, listed, and run again once: {listed(void)}."
    if gated := [t["path"] for d in drills for t in d["trials"] if t["gates"] and not t["superseded"]]:
        yield f"The measuring itself was in doubt, so that timings are unknown, in: {listed(gated)}."
    members = [t for d in drills for t in counted(d, "drill")]
    if censored := [t["path"] for t in members if t["measure"]["rto"]["censored"]]:
        yield f"The load ended before recovery was certain; RTO is a lower bound in: {listed(censored)}."
    if facts["unfinished"]:
        yield f"Broken off without a result, and not judged: {listed(facts['unfinished'])}."
    if facts["masked"]:
        yield (
            f"Secrets were masked in {plural(len(facts['masked']), 'file')}; figures were computed from the "
            "masked copies. evidence.json has the SHA-256 of each original."
        )


def _of_restores(facts: Facts) -> Iterator[str]:
    of_drills = [(d["title"], counted(d, "drill")) for d in facts["drills"]]
    if none := [title for title, members in of_drills if members and not any(t["restores"] for t in members)]:
        yield f"No restore from a backup is recorded of: {listed(none)}."
    if bare := [title for title, members in of_drills if members and not any(t["steps"] for t in members)]:
        yield f"No runbook was followed step by step in: {listed(bare)}."
