"""Named waits with limits, as the stack's rooms know them; see `blackstart.platforms.waiting`."""

from __future__ import annotations

from blackstart.platforms.waiting import GiveUp, wait_for, wait_until

__all__ = ["GiveUp", "wait_for", "wait_until"]
