"""Who may begin: turns in work and turns in line are bounded, the rest is refused at once.

A line that is longer than what can be answered in time only makes answers that nobody waits for, and the
overload lasts longer than its cause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from . import deadline
from .errors import BUSY, Refusal


class Gate:
    """At most `working` turns in work, `line` in line for at most `within` seconds after they came.

    `working` None bounds nothing. `on_refused` is told why: "queue-full", "queue-timeout" or "deadline".
    """

    def __init__(
        self,
        working: int | None = None,
        line: int = 0,
        *,
        within: float = 2.0,
        on_refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._places = None if working is None else asyncio.Semaphore(working)
        self._line = line
        self.within = within
        self._on_refused = on_refused
        self.working = 0
        self.waiting = 0

    async def enter(self) -> None:
        """Take a place, to be given back by `leave`; raises Refusal 503 or 504, nothing being applied."""
        if self._places is not None:
            if self._places.locked() and self.waiting >= self._line:
                raise self._refused("queue-full", 503, "too many turns are waiting")
            await self._wait(self._places)
        self.working += 1

    def leave(self) -> None:
        """Give the place back."""
        self.working -= 1
        if self._places is not None:
            self._places.release()

    async def _wait(self, places: asyncio.Semaphore) -> None:
        limit = deadline.current(self.within)
        self.waiting += 1
        try:
            async with asyncio.timeout_at(limit.ends):
                await places.acquire()
        except TimeoutError:
            if limit.ends < limit.began + self.within:
                raise self._refused("deadline", 504, deadline.OVER) from None
            raise self._refused("queue-timeout", 503, "no place became free in time") from None
        finally:
            self.waiting -= 1

    def _refused(self, why: str, status: int, reason: str) -> Refusal:
        self._on_refused(why)
        return Refusal(status, reason, retry_after=1 if status == 503 else None, not_applied=True)


@dataclass
class _Line:
    """Those who are at work on a session or wait for it, and whose turn it is."""

    length: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sessions:
    """The turns of a session one by one, as far as this process has them: `line` wait, None for any number.

    Whoever waits here holds nothing that another session needs, neither a place at the gate nor a
    connection. `on_refused` is told "session-busy".
    """

    def __init__(
        self, line: int | None = None, *, on_refused: Callable[[str], None] = lambda reason: None
    ) -> None:
        self._line = line
        self._on_refused = on_refused
        self._lines: dict[Hashable, _Line] = {}

    async def enter(self, session: Hashable, by: float) -> None:
        """Wait for the session, to be let go by `leave`, until `by` in the event loop's seconds.

        Raises Refusal 503, nothing being applied.
        """
        line = self._lines.setdefault(session, _Line())
        if self._line is not None and line.length > self._line:
            raise self._refused()
        line.length += 1
        entered = False
        try:
            async with asyncio.timeout_at(by):
                entered = await line.lock.acquire()
        except TimeoutError:
            raise self._refused() from None
        finally:
            if not entered:
                self._shorten(session, line)

    def leave(self, session: Hashable) -> None:
        """Let the next one begin."""
        line = self._lines[session]
        line.lock.release()
        self._shorten(session, line)

    def _shorten(self, session: Hashable, line: _Line) -> None:
        line.length -= 1
        if not line.length:
            del self._lines[session]

    def _refused(self) -> Refusal:
        self._on_refused("session-busy")
        return Refusal(503, BUSY, retry_after=1, not_applied=True)
