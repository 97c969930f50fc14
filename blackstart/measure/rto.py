"""RTO as clients felt it: from an episode's begin to the end of the last outage it caused, with bounds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from blackstart.history.records import NEVER, History
from blackstart.measure.episodes import Episode
from blackstart.measure.load import SECOND, Load
from blackstart.measure.outages import Outage

#: Recovered means that operations went on being due this long after the first ok.
SUSTAINED = 3 * SECOND


@dataclass(frozen=True, slots=True)
class Recovery:
    """The recovery of one kind in one episode; ns. `censored`: only `lo` is certain.

    `outages` are those counted for that episode, as they were due.
    """

    kind: int | None
    begin: int
    lo: int = 0
    hi: int = 0
    censored: bool = False
    outages: Sequence[Outage] = ()

    @property
    def unavailable(self) -> int:
        """How long all of its outages lasted at most."""
        return sum(outage.hi for outage in self.outages)

    def first_error(self, history: History) -> int | None:
        """From the begin to the earliest invoke of a felt non-ok, strays left out; None if there is none."""
        bad = (op for outage in self.outages for op in outage.bad)
        first = min((history.invoked[op] for op in bad if _felt(history, op, self.begin)), default=None)
        return None if first is None else max(0, first - self.begin)


#: No fault, or no outage that clients felt.
UNDISTURBED = Recovery(kind=None, begin=0)


def recoveries(load: Load, outages: Iterable[Outage], spans: Sequence[Episode]) -> list[Recovery]:
    """One for every episode and every kind with an outage felt in it. Strays are not to be passed in."""
    by_kind: dict[int, list[Outage]] = {}
    for outage in outages:
        by_kind.setdefault(outage.kind, []).append(outage)
    timelines = [_Timeline(load.history, kind_outages) for kind_outages in by_kind.values()]
    return [
        _recovery(load, felt, episode)
        for episode in spans
        for timeline in timelines
        if (felt := timeline.felt(episode))
    ]


class _Timeline:
    """The outages of a kind as they were due, so that an episode need not look at all of them."""

    def __init__(self, history: History, outages: list[Outage]) -> None:
        self._history = history
        self._outages = sorted(outages, key=lambda o: (history.intended[o.bad[0]], o.bad[0]))
        # Felt up to this begin, by this outage or one due before it.
        self._until = list(accumulate((_until(history, o) for o in self._outages), max))
        # Counted from this begin of a next episode on, this outage or one due after it.
        self._since = list(accumulate((_since(history, o) for o in reversed(self._outages)), min))[::-1]

    def felt(self, episode: Episode) -> list[Outage]:
        """The outages that count for `episode`."""
        first = bisect_right(self._until, episode.begin)
        after = len(self._since) if episode.next is None else bisect_left(self._since, episode.next)
        return [o for o in self._outages[first:after] if _counts(self._history, o, episode)]


def _until(history: History, outage: Outage) -> float:
    """The begin from which on none of its non-oks is felt."""
    done = (history.completed[op] for op in outage.bad)
    return max(history.intended[outage.bad[-1]], max(inf if d == NEVER else d for d in done))


def _since(history: History, outage: Outage) -> int:
    """A next episode that begins then or earlier leaves none of its non-oks to the episode before."""
    done = (history.completed[op] for op in outage.bad if history.completed[op] != NEVER)
    due = history.intended[outage.bad[0]] + SECOND
    return min(due, min(done, default=due))


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
    return Recovery(
        kind=last.kind,
        begin=episode.begin,
        lo=lo,
        hi=max(recovered - episode.begin, lo),
        censored=censored,
        outages=felt,
    )
