"""A bulkhead for each dependency: one that is slow cannot hold every turn of the replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from .errors import NotAsked


class Bulkhead:
    """At most `limit` calls at once; one more waits `wait_s` seconds, so that a burst is no trouble.

    `limit` None bounds nothing.
    """

    def __init__(
        self,
        name: str,
        limit: int | None = None,
        *,
        wait_s: float = 0.1,
        on_full: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.name = name
        self._places = None if limit is None else asyncio.Semaphore(limit)
        self._wait_s = wait_s
        self._on_full = on_full
        self.in_use = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Surround one call; raises NotAsked instead of calling."""
        if self._places is not None:
            try:
                async with asyncio.timeout(self._wait_s):
                    await self._places.acquire()
            except TimeoutError:
                self._on_full(self.name)
                raise NotAsked(f"{self.name}: its bulkhead is full") from None
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1
            if self._places is not None:
                self._places.release()
