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
    """The non-oks of a kind's outages as they were due, so that an episode need not look at all of them."""

    def __init__(self, history: History, outages: list[Outage]) -> None:
        due, completed = history.intended, history.completed
        self._history = history
        self._outages = sorted(outages, key=lambda o: (due[o.bad[0]], o.bad[0]))
        self._ops = [(op, n) for n, outage in enumerate(self._outages) for op in outage.bad]
        done = [inf if completed[op] == NEVER else completed[op] for op, _ in self._ops]
        # This non-ok, or one due before it, is felt by an episode that begins earlier than this.
        until = (max(d, due[op]) for d, (op, _) in zip(done, self._ops, strict=True))
        self._until = list(accumulate(until, max))
        # This non-ok, or one due after it, counts if the next episode begins later than this.
        since = [min(d, due[op] + SECOND) for d, (op, _) in zip(done, self._ops, strict=True)]
        self._since = list(accumulate(reversed(since), min))[::-1]

    def felt(self, episode: Episode) -> list[Outage]:
        """The outages that count for `episode`: it felt one of their non-oks, and before the next began."""
        first = bisect_right(self._until, episode.begin)
        after = len(self._since) if episode.next is None else bisect_left(self._since, episode.next)
        counted = {
            n
            for op, n in self._ops[first:after]
            if _felt(self._history, op, episode.begin) and _before(self._history, op, episode.next)
        }
        return [self._outages[n] for n in sorted(counted)]


def worst_of(found: Iterable[Recovery]) -> Recovery:
    """Censored first, then the largest hi, then the largest lo; UNDISTURBED if there are none."""
    return max(found, key=lambda r: (r.censored, r.hi, r.lo), default=UNDISTURBED)


def _felt(history: History, op: int, begin: int) -> bool:
    """Whether a non-ok had not completed at the episode's begin, or was due later."""
    completed = history.completed[op]
    return completed == NEVER or completed > begin or history.intended[op] > begin


def _before(history: History, op: int, following: int | None) -> bool:
    """Whether a non-ok completed before the next episode's begin, or was due over 1 s before it."""
    if following is None or history.intended[op] < following - SECOND:
        return True
    return NEVER != history.completed[op] < following


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
