"""Whether a run's load can show anything: load at all, up to the faults, and well before them."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.history.records import NEVER, OK
from blackstart.measure.episodes import Episode
from blackstart.measure.load import SECOND, Load
from blackstart.measure.measured import Measured

#: Percent of the operations due in the last second before a fault that must be ok.
CLEAN_PERCENT = 99


def blind(found: Measured) -> Iterator[str]:
    """Why the load cannot have seen the faults; nothing if it can."""
    if not found.load.by_due:
        yield "there is no load"
        return
    for fault in found.events.faults:
        if fault.begin > found.load.last_due:
            yield f"no operation was due at or after the fault's begin at {fault.begin / 1e9:.3f} s"


def outlasted(found: Measured) -> Iterator[str]:
    """Faults whose recorded end the load did not see."""
    for fault in found.events.faults:
        if fault.end is not None and found.load.end < fault.end:
            yield (
                f"the load ended at {found.load.end / 1e9:.3f} s, "
                f"before the fault's end at {fault.end / 1e9:.3f} s"
            )


def unclean(found: Measured) -> Iterator[str]:
    """Episodes that struck a service which was not healthy, or not known to be."""
    for episode in found.episodes:
        if problem := _unclean(found.load, episode):
            yield problem


def _unclean(load: Load, episode: Episode) -> str | None:
    status, completed, begin = load.history.status, load.history.completed, episode.begin
    # Those that the fault may have hit before it was their turn to fail say nothing about the baseline.
    known = [
        op
        for op in load.between(begin - SECOND, begin)
        if status[op] == OK or (completed[op] != NEVER and completed[op] <= begin)
    ]
    oks = sum(1 for op in known if status[op] == OK)
    if not known:
        return f"no operation was due in the second before {begin / 1e9:.3f} s"
    if oks * 100 < CLEAN_PERCENT * len(known):
        return f"{oks} of {len(known)} operations were ok in the second before {begin / 1e9:.3f} s"
    return None
