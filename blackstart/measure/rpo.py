"""RPO: acknowledged writes that are gone, and how old the oldest was when the fault began."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from blackstart.history.records import INFO, Events, FaultSpan
from blackstart.measure.checkers import lost_writes
from blackstart.measure.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Loss:
    """Counts of writes; `oldest` in ns: 0 when nothing is lost, None when no fault tells the age.

    `after` of the lost were begun after the first fault had its effect: what it destroyed does not explain
    them.
    """

    lost: int
    oldest: int | None
    indeterminate: int
    recovered: int
    after: int = 0


def effect(events: Events) -> int | None:
    """When the first fault was seen to be in force: its bite, or its begin where no bite is told; ns.

    The first and not the last: what is lost between two faults was not destroyed by the first. A bite before
    the first begin is that of a weakened stack, and one after the second's begin may be the second's.
    """
    if not events.faults:
        return None
    first, *later = sorted(fault.begin for fault in events.faults)
    bites = (
        line["time"]
        for line in events.lines
        if (line.get("source"), line.get("event")) == ("injection", "bite")
    )
    return min((at for at in bites if first <= at and (not later or at < later[0])), default=first)


def loss(ledger: Ledger, faults: Iterable[FaultSpan], effect: int | None = None) -> Loss:
    """Age of a lost write: from the invoke of its first acknowledged attempt to the next fault's begin.

    What destroys takes a while: until its `effect` what is acknowledged may still go to what is destroyed.
    """
    begins = sorted(fault.begin for fault in faults)
    invoked, attempt = ledger.history.invoked, ledger.writes.ack_op
    gone = [invoked[attempt[write]] for write in lost_writes(ledger)]
    columns = zip(ledger.state, ledger.writes.entry, strict=True)
    unsure = [ledger.held[entry] for state, entry in columns if state == INFO]
    return Loss(
        lost=len(gone),
        oldest=_oldest(gone, begins),
        indeterminate=len(unsure),
        recovered=sum(1 for held in unsure if held),
        after=sum(1 for invoke in gone if effect is not None and invoke >= effect),
    )


def _oldest(gone: list[int], begins: list[int]) -> int | None:
    if not gone:
        return 0
    if not begins:
        return None
    # One that was lost after the last begin has age 0.
    following = [*begins, None]
    ages = ((following[bisect_right(begins, invoke)], invoke) for invoke in gone)
    return max(0 if begin is None else begin - invoke for begin, invoke in ages)
