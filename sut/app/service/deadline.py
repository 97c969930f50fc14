"""How long somebody still waits for the answer, passed from hop to hop.

The header is Envoy's: the milliseconds that are left, as in gRPC's `grpc-timeout`. A point in time would need
clocks that agree; the milliseconds lose only the way from one hop to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from .errors import CutShort, Refusal

HEADER = "X-Envoy-Expected-Rq-Timeout-Ms"
OVER = "the deadline of this request is over"
#: The share of its own time in which a dependency should have answered. Not all of it: of two calls that
#: share a time, the first one's end comes a little late.
ENOUGH = 0.9


@dataclass(frozen=True)
class Deadline:
    """When a request came and when nobody waits for it any more, in the event loop's seconds."""

    began: float
    ends: float

    @property
    def left(self) -> float:
        """Seconds from now; negative when it is over."""
        return self.ends - now()


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def now() -> float:
    """The event loop's clock, which no change of the wall clock moves."""
    return asyncio.get_running_loop().time()


def current(within: float) -> Deadline:
    """The request's deadline, at most `within` seconds after its begin; without a request that is now."""
    found = _current.get()
    began = found.began if found else now()
    return Deadline(began, min(began + within, found.ends) if found else began + within)


@contextmanager
def narrowed(within: float) -> Iterator[Deadline]:
    """`current(within)`, in force for what is called meanwhile."""
    limit = current(within)
    token = _current.set(limit)
    try:
        yield limit
    finally:
        _current.reset(token)


def begin(header: str | None) -> None:
    """Take over the caller's deadline, if it is a number; raises Refusal 504 when it is over."""
    try:
        left = float(header) / 1000 if header else float("inf")
    except ValueError:
        left = float("inf")
    if not left > 0:
        raise Refusal(504, OVER, not_applied=True)
    _current.set(Deadline(now(), now() + left))


def over() -> bool:
    """Whether nobody waits any more for what is done now, to the millisecond that the header counts."""
    return current(float("inf")).left < 0.001


@asynccontextmanager
async def allowed(own: float, left: float | None = None) -> AsyncIterator[float]:
    """Surround a call of a dependency; gives its seconds: its `own`, or those `left` if they are fewer.

    None for `left` is the request's deadline. Raises TimeoutError when they are over, but CutShort where
    they were clearly less than its own: who cannot wait must not open a breaker for all who can.
    """
    seconds = min(own, current(float("inf")).left if left is None else left)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield seconds
    except Exception as error:
        # Whatever a library made of it.
        if limit.expired() and seconds < ENOUGH * own:
            raise CutShort(f"{seconds:.2f} s of {own:.2f}") from error
        raise


def restart() -> None:
    """The service's own limits count from now on; the caller's stays where it is."""
    _current.set(Deadline(now(), current(float("inf")).ends))


def heed_cancellation() -> None:
    """Raise CancelledError if this task was cancelled and a library swallowed it.

    redis-py sends by `asyncio.wait_for`, which before Python 3.12 returns what it has when both come at once.
    A task that works for ever would then go on for ever.
    """
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError
