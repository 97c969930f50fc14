"""How recovery went, step by step, as far as the components tell: detected, promoted, rerouted, reconnected.

Nothing is inferred: a step of which no component speaks is missing, with the reason. A step is as late as
we learned of it; by how much it may have been earlier is stated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blackstart.report.recovery import Row
from blackstart.report.roles import role_of
from blackstart.report.words import secs

Event = Mapping[str, Any]

DETECTED, PROMOTED, REROUTED, RECONNECTED = "detected", "promoted", "rerouted", "reconnected"
#: Who could tell of a step, and what is said when none of them does.
_TELLERS = {
    DETECTED: ("patroni", "sentinel", "haproxy", "breaker"),
    PROMOTED: ("patroni", "sentinel"),
    REROUTED: ("haproxy",),
}
_SILENT = {
    DETECTED: "no component says that it noticed",
    PROMOTED: "no component says that another became primary",
    REROUTED: "no proxy says that it changed a route",
}


@dataclass(frozen=True)
class Step:
    """A step, in seconds after the fault's begin: it lies between `lo` and `hi`.

    `hi` is when we learned of it, `lo` earlier by the event's `within_s`. Clients reconnected between the
    last error and the next answer of the slowest kind; `hi` is None if that answer was not seen. `error` is
    what is stated of its time, `line` the event that tells of it.
    """

    name: str
    lo: float
    hi: float | None
    source: str
    what: str
    error: str = ""
    line: Event | None = None


@dataclass(frozen=True)
class Course:
    """The steps of the episode that began at `begin` s, by time; `missing` says why others are not there."""

    begin: float
    steps: tuple[Step, ...]
    missing: Mapping[str, str] = field(default_factory=dict)


def course(events: Sequence[Event], begin: float, until: float, felt: Sequence[Row]) -> Course:
    """The course of the episode that begins at `begin` s and ends before `until` s; pure.

    `events` are all of the run's, in the order of time; `felt` the outages that clients felt in it.
    """
    before = [e for e in events if e["time"] / 1e9 < begin]
    later = [e for e in events if begin <= e["time"] / 1e9 < until]
    primaries = _primaries(before)
    promotion = next(((e, who) for e in later if (who := _promoted(e)) and who not in primaries), None)
    told = {
        DETECTED: next((e for e in later if _detects(e)), None),
        PROMOTED: promotion[0] if promotion else None,
        REROUTED: _to(later, promotion[1]) if promotion else _around(before, later),
    }
    steps = sorted((_step(n, e, begin) for n, e in told.items() if e is not None), key=lambda s: s.hi or 0.0)
    heard = {e.get("source") for e in events}
    missing = {
        name: _SILENT[name]
        if heard.intersection(_TELLERS[name])
        else f"nobody who could tell was listened to ({', '.join(_TELLERS[name])})"
        for name, event in told.items()
        if event is None
    }
    if felt:
        steps.append(_reconnected(felt))
    else:
        missing[RECONNECTED] = "clients felt no outage"
    return Course(begin, tuple(steps), missing)


def _detects(event: Event) -> bool:
    """Whether the component itself noticed: that we cannot reach it, or that it died, is no detection."""
    source, name = event.get("source"), event.get("event")
    if source == "sentinel":
        return name in ("+sdown", "+odown")
    if source == "patroni":
        return name == "leader" or (name in ("role", "state") and role_of(event) != "replica")
    return (source, name) in (("haproxy", "down"), ("breaker", "open"))


def _promoted(event: Event) -> str | None:
    """Whom the event says to have become primary."""
    source, name = event.get("source"), event.get("event")
    if source == "patroni" and "instance" in event and role_of(event) == "primary":
        return str(event["instance"])
    if source == "sentinel" and name in ("+promoted-slave", "+switch-master"):
        return str(event.get("server"))
    return None


def _primaries(before: Iterable[Event]) -> set[str]:
    """Who was primary last, by whatever its source: one that comes back is not promoted."""
    last: dict[tuple[Any, Any], bool] = {}
    for event in before:
        if event.get("source") == "patroni" and "role" in event:
            last["patroni", event.get("instance")] = role_of(event) == "primary"
        elif event.get("source") == "sentinel" and event.get("event") in ("primary", "+switch-master"):
            last["sentinel", event.get("was")] = False
            last["sentinel", event.get("server")] = True
    return {str(who) for (_, who), primary in last.items() if primary}


def _to(later: Iterable[Event], primary: str) -> Event | None:
    """The first time that a proxy took the new primary up."""
    return next((e for e in later if _haproxy(e, "up") and e.get("server") == primary), None)


def _around(before: Iterable[Event], later: Iterable[Event]) -> Event | None:
    """The first time that a proxy took a server out while it had another one to send to."""
    up: dict[tuple[Any, Any], set[Any]] = {}

    def follow(event: Event) -> None:
        servers = up.setdefault((event.get("instance"), event.get("backend")), set())
        if _haproxy(event, "up"):
            servers.add(event.get("server"))
        elif _haproxy(event, "down"):
            servers.discard(event.get("server"))

    for event in before:
        follow(event)
    for event in later:
        follow(event)
        if _haproxy(event, "down") and up[event.get("instance"), event.get("backend")]:
            return event
    return None


def _haproxy(event: Event, name: str) -> bool:
    return (event.get("source"), event.get("event")) == ("haproxy", name)


def _step(name: str, event: Event, begin: float) -> Step:
    at = event["time"] / 1e9 - begin
    within, claim = event.get("within_s"), event.get("source_time")
    stated = []
    if isinstance(within, int | float):
        stated.append(f"at most {secs(within)} earlier")
    if claim is not None:
        error = event.get("source_error_s")
        coarse = f" ± {secs(error)}" if isinstance(error, int | float) else ""
        stated.append(f"{event.get('source')} says {claim}{coarse}")
    lo = max(0.0, at - within) if isinstance(within, int | float) else at
    return Step(name, lo, at, str(event.get("source")), _what(event), ", ".join(stated), event)


def _what(event: Event) -> str:
    """The event in few words: of whom, what, and who says so."""
    name = str(event.get("event"))
    subject = event.get("server", event.get("dependency", event.get("instance", event.get("service", ""))))
    if name in ("role", "state"):
        name = " ".join(str(event[k]) for k in ("role", "state") if event.get(k))
    elif name == "leader":
        name = f"leader is {event.get('leader') or 'nobody'}"
    teller = event.get("instance")
    by = f" ({teller})" if teller not in (None, subject) else ""
    return f"{subject} {name}{by}"


def _reconnected(felt: Sequence[Row]) -> Step:
    worst = max(felt, key=lambda row: (row.censored, row.hi, row.lo))
    error = "the last error and the next answer" if not worst.censored else "no answer was seen any more"
    hi = None if worst.censored else worst.hi
    return Step(RECONNECTED, worst.lo, hi, "client", worst.kind, error)
