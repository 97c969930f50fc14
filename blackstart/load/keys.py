"""Ledger keys (sessions) of one writer: which to write next, which can be read."""

from __future__ import annotations

import random
import re
from collections import deque


class KeyPool:
    """Goes around `size` keys; with `one_at_a_time` a key in use is passed over for a new one.

    A key whose write ended indeterminate is not written again in that mode: the write may still be
    running, and a second one would race it.
    """

    def __init__(self, f: str, run: str, size: int, *, one_at_a_time: bool, seed: int) -> None:
        self._stem = f"{re.sub(r'[^A-Za-z0-9_-]', '-', f)}-{run}"
        self._size, self._one_at_a_time = size, one_at_a_time
        self._free: deque[str] = deque()
        self._acknowledged: dict[str, None] = {}
        self._readable: list[str] = []
        self._random = random.Random(f"{seed}/{f}")
        self.all: list[str] = []

    def take(self) -> str:
        """The key to write next: least recently used first."""
        if len(self.all) < self._size or not self._free:
            key = f"{self._stem}-{len(self.all)}"
            self.all.append(key)
        else:
            key = self._free.popleft()
        if not self._one_at_a_time:
            self._free.append(key)
        return key

    def give_back(self, key: str, outcome: str) -> None:
        """End the write of `key` with `outcome`: ok, fail or info."""
        if outcome == "ok" and key not in self._acknowledged:
            self._acknowledged[key] = None
            self._readable.append(key)
        if self._one_at_a_time and outcome != "info":
            self._free.append(key)

    def readable(self) -> str | None:
        """Any key with an acknowledged write; None if there is none yet."""
        return self._random.choice(self._readable) if self._readable else None
