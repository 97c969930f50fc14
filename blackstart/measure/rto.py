"""RTO as clients felt it: from an episode's begin to the end of the last outage it caused, with bounds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blackstart.history.records import NEVER, History
from blackstart.measure.episodes import Episode
from blackstart.measure.load import SECOND, Load
from blackstart.measure.outages import Outage

#: Recovered means that operations went on being due this long after the first ok.
SUSTAINED = 3 * SECOND


@dataclass(frozen=True, slots=True)
class Recovery:
    """The recovery of one kind in one episode; ns. `censored`: only `lo` is certain."""

    kind: int | None
    begin: int
    lo: int = 0
    hi: int = 0
    censored: bool = False
    first_error: int | None = None
    unavailable: int = 0


#: No fault, or no outage that clients felt.
UNDISTURBED = Recovery(kind=None, begin=0)


def recoveries(load: Load, outages: Iterable[Outage], spans: Sequence[Episode]) -> list[Recovery]:
    """One for every episode and every kind with an outage felt in it. Strays are not to be passed in."""
    by_kind: dict[int, list[Outage]] = {}
    for outage in outages:
        by_kind.setdefault(outage.kind, []).append(outage)
    return [
        _recovery(load, felt, episode)
        for episode in spans
        for kind_outages in by_kind.values()
        if (felt := [o for o in kind_outages if _counts(load.history, o, episode)])
    ]


def worst_of(found: Iterable[Recovery]) -> Recovery:
    """Censored first, then the largest hi, then the largest lo; UNDISTURBED if there are none."""
    return max(found, key=lambda r: (r.censored, r.hi, r.lo), default=UNDISTURBED)


def _felt(history: History, op: int, begin: int) -> bool:
    """Whether a non-ok had not completed at the episode's begin, or was due later."""
    completed = history.completed[op]
    return completed == NEVER or completed > begin or history.intended[op] > begin


def _counts(history: History, outage: Outage, episode: Episode) -> bool:
    """Whether one of its felt non-oks completed before the next episode, or was due over 1 s before it."""
    if episode.next is None:
        return any(_felt(history, op, episode.begin) for op in reversed(outage.bad))
    due, completed, limit = history.intended, history.completed, episode.next - SECOND
    # One due between begin and limit settles it without walking the cluster.
    after_begin = bisect_right(outage.bad, episode.begin, key=due.__getitem__)
    if after_begin < bisect_left(outage.bad, limit, key=due.__getitem__):
        return True
    return any(
        _felt(history, op, episode.begin)
        and (due[op] < limit or (completed[op] != NEVER and completed[op] < episode.next))
        for op in outage.bad
    )


def _recovery(load: Load, felt: list[Outage], episode: Episode) -> Recovery:
    history, last = load.history, felt[-1]
    last_due = history.intended[load.by_kind[last.kind][-1]]
    censored = last.after is None or last_due - last.after < SUSTAINED
    lo = max(0, last.last - episode.begin)
    recovered = load.end if last.after is None or censored else last.after
    first = min(history.invoked[op] for o in felt for op in o.bad if _felt(history, op, episode.begin))
    return Recovery(
        kind=last.kind,
        begin=episode.begin,
        lo=lo,
        hi=max(recovered - episode.begin, lo),
        censored=censored,
        first_error=max(0, first - episode.begin),
        unavailable=sum(o.hi for o in felt),
    )
