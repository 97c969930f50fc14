"""Who was primary when: what the components said, beside who acknowledged writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import svg
from markupsafe import Markup

from blackstart.report import draw
from blackstart.report.draw import Span
from blackstart.report.samples import Acks, Samples
from blackstart.report.words import count, listed, moment, secs

_PRIMARY = frozenset({"primary", "master", "leader"})
_REPLICA = frozenset({"replica", "standby", "standby_leader", "slave", "sync_standby", "secondary"})
#: A crashed primary keeps its role's name for a while: its state tells.
ALIVE = frozenset({"", "running", "streaming", "in archive recovery", "ok", "up"})
#: The role of one that does not answer, as the event sources call it.
UNREACHABLE = "unreachable"
_ROW = 54.0


@dataclass(frozen=True)
class Segment:
    """`instance` held `role` (primary, replica or other) from `begin` to `end`, in seconds."""

    source: str
    instance: str
    role: str
    detail: str
    timeline: Any
    begin: float
    end: float


def segments(events: Iterable[Mapping[str, Any]], end: float) -> list[Segment]:
    """Segments from events that carry an instance and a role, in whatever source, and from what Sentinels
    say of others; `time` in ns."""
    open_: dict[tuple[str, str], tuple[str, str, Any, float]] = {}
    found: list[Segment] = []

    def close(key: tuple[str, str], at: float) -> None:
        role, detail, timeline, begin = open_.pop(key)
        if at > begin:
            found.append(Segment(*key, role, detail, timeline, begin, at))

    for event in _with_sentinels(events):
        if "role" not in event or "instance" not in event or event.get("source") in ("fault", "variant"):
            continue
        key = (str(event.get("source", "")), str(event["instance"]))
        role = role_of(event)
        detail = role if role != "other" else str(event.get("state") or event["role"] or "unknown").lower()
        timeline = event.get("timeline", event.get("term", event.get("epoch")))
        now = (role, detail, timeline)
        at = event["time"] / 1e9
        if key in open_:
            if open_[key][:3] == now:
                continue
            close(key, at)
        open_[key] = (*now, at)
    for key in list(open_):
        close(key, max(end, open_[key][3]))
    return sorted(found, key=lambda s: (s.source, s.instance, s.begin))


def _with_sentinels(events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """All events, and after what a Sentinel says of another its role; the first Sentinel to say it counts."""
    primary: dict[Any, Any] = {}
    for event in events:
        yield event
        name, server, master = event.get("event"), event.get("server"), event.get("master")
        if event.get("source") != "sentinel" or server is None:
            continue
        told = {"time": event["time"], "source": "sentinel"}
        if name in ("primary", "+switch-master") and primary.get(master) != server:
            if (old := primary.get(master)) is not None:
                yield {**told, "instance": old, "role": "deposed"}
            primary[master] = server
            yield {**told, "instance": server, "role": "primary"}
        elif name in ("+sdown", "-sdown") and event.get("kind") in ("primary", "replica"):
            role = "primary" if primary.get(master) == server else "replica"
            yield {**told, "instance": server, "role": role, "state": "down" if name == "+sdown" else ""}


def role_of(event: Mapping[str, Any]) -> str:
    """`primary`, `replica` or, also for one that is down, `other`."""
    told, state = str(event.get("role") or "unknown").lower(), str(event.get("state") or "").lower()
    if state not in ALIVE:
        return "other"
    return "primary" if told in _PRIMARY else "replica" if told in _REPLICA else "other"


def overlap(parts: Sequence[Segment]) -> float:
    """Seconds in which two instances of one source were both seen as primary."""
    total = 0.0
    primaries = [p for p in parts if p.role == "primary"]
    for n, one in enumerate(primaries):
        for other in primaries[n + 1 :]:
            if one.source == other.source and one.instance != other.instance:
                total += max(0.0, min(one.end, other.end) - max(one.begin, other.begin))
    return total


def finding(parts: Sequence[Segment], zero: float) -> str:
    """The caption: the sequence of primaries, the gaps between them, any overlap."""
    sentences = []
    for source in dict.fromkeys(p.source for p in parts):
        reigns = sorted(
            (p for p in parts if p.source == source and p.role == "primary"), key=lambda p: p.begin
        )
        if not reigns:
            sentences.append(f"{source} named no primary.")
            continue
        # One that was not seen as primary meanwhile became it again.
        changes = [(a, b) for a, b in pairwise(reigns) if a.instance != b.instance or a.end < b.begin]
        if not changes:
            sentences.append(f"{reigns[0].instance} was primary throughout, as {source} saw it.")
        for a, b in changes:
            gap = b.begin - a.end
            who = b.instance if b.instance != a.instance else "again"
            timeline = f" on timeline {b.timeline}" if b.timeline is not None else ""
            sentences.append(
                f"{source} saw {a.instance} as primary until {moment(a.end - zero)} "
                f"and {who}{timeline} from {moment(b.begin - zero)}"
                + (f": for {secs(gap)} nobody was seen as primary." if gap > 0 else ".")
            )
    both = overlap(parts)
    if both:
        sentences.append(f"Two instances were seen as primary at once for {secs(both)}.")
    elif hidden := _hidden(parts):
        sentences.append(
            f"{listed(hidden)} could not be asked after having been primary: whether it went on as one, "
            "who acknowledged writes tells."
        )
    else:
        sentences.append("Never were two seen as primary at once.")
    return " ".join(sentences)


def _hidden(parts: Sequence[Segment]) -> list[str]:
    """Primaries whose reign ended, as far as is known, because they no longer answered."""
    ends = {(p.source, p.instance, p.end) for p in parts if p.role == "primary"}
    silent = [p for p in parts if p.detail == UNREACHABLE and (p.source, p.instance, p.begin) in ends]
    return list(dict.fromkeys(p.instance for p in silent))


def acks_sentence(acks: Sequence[Acks], zero: float) -> str:
    """Who acknowledged writes under which term, from the clients' history."""
    parts = [
        f"{count(a.count)} by {a.node}"
        + (f" under term {a.term}" if a.term is not None else "")
        + f" ({moment(a.first - zero)} to {moment(a.last - zero)})"
        for a in acks
    ]
    return f"Writes acknowledged, as clients recorded them: {listed(parts)}." if parts else ""


def roles_chart(
    parts: Sequence[Segment], samples: Samples, span: Span, faults: Sequence[tuple[float, float]], label: str
) -> Markup:
    """A bar per instance, and under it where clients had writes acknowledged by it."""
    rows = list(dict.fromkeys((p.source, p.instance) for p in parts))
    height = _ROW * len(rows)
    drawn: list[svg.Element] = [draw.hatch("hatch-roles", "calm"), *draw.axis(span, height, height - 22)]
    for n, row in enumerate(rows):
        top = n * _ROW + 20
        drawn += draw.shade(span, faults, top - 3, 32)
        drawn.append(draw.text(0, top - 7, row[1], "row-name", anchor="start"))
        for part in (p for p in parts if (p.source, p.instance) == row):
            drawn += _bar(part, span, top)
        drawn += _ticks(samples, row[1], span, top + 21)
    return draw.figure(drawn, height + draw.AXIS_HEIGHT, label)


def _bar(part: Segment, span: Span, top: float) -> list[svg.Element]:
    left, right = span.at(part.begin), span.at(part.end)
    size = max(0.25, right - left)
    drawn = [draw.rect(left, top, size, 18, f"role-{part.role}", title=f"{part.instance}: {part.detail}")]
    words = part.detail + (f" · TL {part.timeline}" if part.timeline is not None and size > 24 else "")
    if size > 12:
        drawn.append(draw.clipped(left, top, size, 18, words, f"on-{part.role}"))
    return drawn


def _ticks(samples: Samples, instance: str, span: Span, top: float) -> list[svg.Element]:
    drawn = []
    for ack in samples.acks:
        if ack.node != instance:
            continue
        run: list[int] = []
        for slot in [*sorted(ack.bins), -1]:
            if run and slot != run[-1] + 1:
                left, right = span.at(run[0] * samples.width), span.at((run[-1] + 1) * samples.width)
                drawn.append(draw.rect(left, top, right - left, 4, "acks"))
                run = []
            run.append(slot)
    return drawn
