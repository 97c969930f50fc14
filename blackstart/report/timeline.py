"""One timeline of everything: faults, components, containers, and what clients felt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from blackstart.report.roles import ALIVE, Segment
from blackstart.report.samples import Samples
from blackstart.report.sentences import lasted, unended
from blackstart.report.steps import Course
from blackstart.report.words import fault_words, plural, share

#: More than this are cut from the report (they stay in events.jsonl); decisive ones never are.
MAX_ENTRIES = 400
#: A decisive entry beyond this many of its source's is a symptom repeated, not a turning point.
MAX_DECISIVE_PER_SOURCE = 12
#: The order in which an event's fields are told; others follow by name.
_FIRST = (
    *("instance", "server", "kind", "master", "primary", "quorum"),
    *("backend", "dependency", "degradation", "role", "timeline", "state"),
    *("status", "check", "was", "detail", "reason"),
)
_HIDDEN = frozenset(
    {"time", "source", "event", "fault", "objectives", "targets", "bite", "service", "xlog"}
    | {"source_time", "source_error_s", "within_s"}
)
#: Told without their name, which adds nothing.
_BARE = frozenset({"detail", "reason", "check", "status"})
#: Steps between two states, which are no turning points themselves.
_MINOR = frozenset(
    {"check", "active", "failing", "rising", "timeline", "sync_standby", "state"}
    | {"watching", "pending", "withdrawn", "received", "cleared"}
)
_FAULT_WORDS = {"begin": "in force", "bite": "seen to bite", "end": "undone"}


@dataclass(frozen=True)
class Entry:
    """A line of the timeline; `at` in seconds from the start, `decisive` marks the turning points.

    `step` is the step of recovery of which it is the evidence, if it is.
    """

    at: float
    source: str
    what: str
    detail: str = ""
    decisive: bool = False
    step: str = ""


def build(
    events: Sequence[Mapping[str, Any]],
    outages: Sequence[Mapping[str, Any]],
    samples: Samples,
    parts: Sequence[Segment],
    courses: Sequence[Course] = (),
) -> list[Entry]:
    """All entries by time.

    Decisive are: faults and gates, the steps of recovery, changes of primary, begin and end of each client
    outage, and, while a fault is felt, the first event of its kind from each other source.
    """
    told = [e for e in events if e.get("event") != "objectives"]
    entries = _mark([_entry(e) for e in told], told, outages)
    steps: dict[int, list[str]] = {}
    for step in (step for course in courses for step in course.steps):
        steps.setdefault(id(step.line), []).append(step.name)
    entries = [
        replace(entry, decisive=True, step=" and ".join(steps[id(event)])) if id(event) in steps else entry
        for entry, event in zip(entries, told, strict=True)
    ]
    turns = _turns(parts, samples.end)
    entries = [replace(e, decisive=True) if (round(e.at, 6), e.source) in turns else e for e in entries]
    entries += _clients(outages, samples)
    entries.sort(key=lambda e: e.at)
    return _cut(entries)


def _entry(event: Mapping[str, Any]) -> Entry:
    source, name = str(event.get("source", "?")), str(event.get("event", "?"))
    what, detail = name, _details(event)
    fault = event.get("fault")
    if isinstance(fault, Mapping):
        targets = ", ".join(map(str, event.get("targets") or ()))
        what = f"{fault_words(fault)} {_FAULT_WORDS.get(name, name)}"
        detail = " · ".join(filter(None, (targets and f"on {targets}", str(event.get("bite") or ""))))
    elif source == "runbook":
        what, detail = _followed(event)
    elif source == "gate":
        what, detail = f"gate tripped: {event.get('gate', '?')}", _details(event, "gate")
    elif source == "alert" and "alert" in event:
        what, detail = f"{event['alert']} {name}", _details(event, "alert", "state")
    elif "instance" in event and "role" in event:
        what = f"{event['instance']}: {_role(event)}"
        detail = _details(event, "instance", "role", "state", "timeline")
    elif "instance" in event or "server" in event:
        subject = "server" if "server" in event else "instance"
        what = f"{event[subject]} {name}"
        detail = _details(event, subject, "instance")
        if subject == "server" and "instance" in event:
            detail = ", ".join(filter(None, (f"says {event['instance']}", detail)))
    elif name in event:
        what = f"{name}: {event[name] if event[name] is not None else 'nobody'}"
    decisive = source in ("fault", "gate", "variant") or (source, name) == ("runbook", "end")
    return Entry(event["time"] / 1e9, source, what, detail, decisive)


def _followed(event: Mapping[str, Any]) -> tuple[str, str]:
    """A step of a runbook as it begins or ends, with the last that it said."""
    step, status = f"{event.get('runbook')}: {event.get('step')}", event.get("exit")
    phase = f"phase {event['phase']}" if event.get("phase") else ""
    if event.get("event") != "end":
        return f"{step} begins", phase
    ended = "stopped" if status is None else "done" if status == 0 else f"failed, exit {status}"
    said = str(event.get("output") or "").strip().splitlines()[-1:]
    return f"{step} {ended}", " · ".join([*filter(None, (phase,)), *said])


def _role(event: Mapping[str, Any]) -> str:
    role, state, timeline = event["role"], event.get("state"), event.get("timeline")
    words = [str(role or "no role")]
    if state and str(state) not in ALIVE:
        words.append(str(state))
    if timeline is not None:
        words.append(f"timeline {timeline}")
    return ", ".join(words)


def _details(event: Mapping[str, Any], *without: str) -> str:
    hidden = {*_HIDDEN, *without, str(event.get("event"))}
    keys = [k for k in _FIRST if k in event] + sorted(set(event) - set(_FIRST))
    told = [
        k for k in keys if k not in hidden and event[k] not in (None, "", [], {}) and event[k] is not False
    ]
    return ", ".join(_field(k, event[k]) for k in told)


def _field(key: str, value: Any) -> str:
    if key in _BARE:
        return str(value)
    words = key.replace("_", " ")
    return words if value is True else f"{words} {value}"


def _mark(
    entries: list[Entry], events: Sequence[Mapping[str, Any]], outages: Iterable[Mapping[str, Any]]
) -> list[Entry]:
    """`entries`, one for each of `events`, with those decisive that came first while a fault was felt."""
    begins = [e["time"] / 1e9 for e in events if (e.get("source"), e.get("event")) == ("fault", "begin")]
    if not begins:
        return entries
    felt_until = max([*(o["end_s"] for o in outages), min(begins)]) + 1.0
    seen: set[tuple[Any, ...]] = set()
    by_source: dict[str, int] = {}
    marked = []
    for entry, event in zip(entries, events, strict=True):
        sign = (entry.source, event.get("event"), *(event.get(k) for k in ("backend", "dependency", "alert")))
        turning = "role" not in event and event.get("event") not in _MINOR and sign not in seen
        if turning and not entry.decisive and min(begins) <= entry.at <= felt_until:
            seen.add(sign)
            by_source[entry.source] = by_source.get(entry.source, 0) + 1
            if by_source[entry.source] <= MAX_DECISIVE_PER_SOURCE:
                entry = replace(entry, decisive=True)
        marked.append(entry)
    return marked


def _turns(parts: Sequence[Segment], end: float) -> set[tuple[float, str]]:
    """When a primary ceased to be one, and when another one came, with the source that says so."""
    turns: set[tuple[float, str]] = set()
    last: dict[str, str] = {}
    for part in sorted((p for p in parts if p.role == "primary"), key=lambda p: p.begin):
        if last.get(part.source) not in (None, part.instance):
            turns.add((round(part.begin, 6), part.source))
        if part.end < end:
            turns.add((round(part.end, 6), part.source))
        last[part.source] = part.instance
    return turns


def _clients(outages: Iterable[Mapping[str, Any]], samples: Samples) -> list[Entry]:
    entries = []
    for outage in outages:
        kind = samples.kinds.get(outage["f"])
        bad = kind.first_bad if kind else None
        why = bad.error if bad is not None and abs(bad.invoke - outage["begin_s"]) < 0.001 else None
        entries.append(Entry(outage["begin_s"], "client", f"{outage['f']}: outage begins", why or "", True))
        partly = f", {share(outage['ok_ratio'])} answered meanwhile" if outage.get("ok_ratio") else ""
        what = "not served again before the load ended" if unended(outage, samples.end) else "served again"
        detail = f"outage of {lasted(outage, samples.end)}{partly}"
        entries.append(Entry(outage["end_s"], "client", f"{outage['f']}: {what}", detail, True))
    return entries


def _cut(entries: list[Entry]) -> list[Entry]:
    if len(entries) <= MAX_ENTRIES:
        return entries
    room = max(0, MAX_ENTRIES - sum(e.decisive for e in entries))
    kept = []
    for entry in entries:
        if not entry.decisive:
            if room == 0:
                continue
            room -= 1
        kept.append(entry)
    left = plural(len(entries) - len(kept), "further event")
    return [*kept, Entry(entries[-1].at, "report", f"{left} left out", "all are in events.jsonl")]
