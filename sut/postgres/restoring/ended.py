"""Whether a recovery ended where it was to end. Pure: the words of Postgres in, an error out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .base import Failed
from .wanted import Wanted

#: By type, the reason that the timeline's history gives if the target was reached.
_REACHED = {
    "default": r"no recovery target specified",
    "immediate": r"reached consistency",
    "time": r"(before|after) \d{4}-\d\d-\d\d ",
    "lsn": r"(before|after) LSN ",
    "name": r"at restore point ",
}
#: What Postgres logs where it stops for a target.
_STOPPING = "recovery stopping "


@dataclass(frozen=True)
class End:
    """Where a timeline begins: it left `parent` at `lsn`, and why."""

    parent: int
    lsn: str
    reason: str


def end_of(history: str) -> End:
    """The last line of a timeline's history. Raises Failed."""
    lines = [line for line in history.splitlines() if line.strip() and not line.startswith("#")]
    parts = lines[-1].split("\t", 2) if lines else []
    if len(parts) != 3:
        raise Failed(f"the new timeline's history cannot be read: {history[-200:]!r}")
    return End(int(parts[0]), parts[1], parts[2].strip())


def check(wanted: Wanted, end: End, log: str, newest: str, segment_size: int) -> None:
    """Raise Failed unless Postgres itself says that it stopped at the target.

    Without a target it must have come as far as the archive went when the recovery began: `newest` is its
    last segment, of `segment_size` bytes; along a timeline that was asked for by number, the last of that.
    A missing segment would otherwise be taken for the archive's end.
    """
    if not re.match(_REACHED[wanted.type], end.reason):
        raise Failed(f"recovery to {wanted} ended for another reason: {end.reason}")
    if wanted.type == "name" and end.reason != f'at restore point "{wanted.target}"':
        raise Failed(f"recovery ended {end.reason}, not at {wanted.target!r}")
    if wanted.type != "default":
        if _STOPPING not in log:
            raise Failed(f"Postgres does not say that it stopped for the target {wanted}")
        return
    if not newest:
        return
    timeline, start = int(newest[:8], 16), start_of(newest, segment_size)
    # Of a timeline that has only just begun the archive may have no segment yet.
    if end.parent < timeline or (end.parent == timeline and position(end.lsn) < start):
        raise Failed(
            f"WAL is missing: recovery ended at {end.lsn} of timeline {end.parent}, "
            f"but the archive goes on to {newest}"
        )


def position(lsn: str) -> int:
    """An LSN as a number of bytes."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def start_of(segment: str, size: int) -> int:
    """Where a segment of `size` bytes begins."""
    return (int(segment[8:16], 16) << 32) + int(segment[16:24], 16) * size
