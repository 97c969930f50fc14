"""One call for all who ask the same at the same time, lest a cache that came back empty starts a stampede.

An answer is given for a moment longer than it takes, because a turn that found nothing in the cache just
before it was stored there comes to ask just after; not so one in which the model declined, which no cache
takes. A failure is not shared: whoever waited for one asks himself, one after the other, since the one who
failed may only have had less time left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .llm import Generated

#: Seconds for which an answer is still given after it came.
LINGER = 1.0


class Flights:
    """The answers under way in this process, by what was asked."""

    def __init__(self, linger: float = LINGER) -> None:
        self._linger = linger
        self._under_way: dict[str, asyncio.Future[Generated | None]] = {}

    async def join(self, asked: str, ask: Callable[[], Awaitable[Generated]]) -> tuple[Generated, bool]:
        """The answer, and whether it was `ask` that gave it here; raises what `ask` raises."""
        while (flight := self._under_way.get(asked)) is not None:
            # Shielded: whoever gives up waiting must not take the answer from the others.
            if (found := await asyncio.shield(flight)) is not None:
                return found, False
        landing: asyncio.Future[Generated | None] = asyncio.get_running_loop().create_future()
        self._under_way[asked] = landing
        found = None
        try:
            found = await ask()
            return found, True
        finally:
            landing.set_result(found)
            if found is None or found.declined:
                del self._under_way[asked]
            else:
                asyncio.get_running_loop().call_later(self._linger, self._under_way.pop, asked, None)
