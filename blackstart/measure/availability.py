"""Availability: the share of operations due that were ok."""

from __future__ import annotations


def availability(oks: int, due: int) -> float | None:
    """Oks over operations due, 0 to 1; None when none was due."""
    return oks / due if due else None
