"""How long somebody still waits for the answer, passed from hop to hop.

The header is Envoy's: the milliseconds that are left, as in gRPC's `grpc-timeout`. A point in time would need
clocks that agree; the milliseconds lose only the way from one hop to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from .errors import Refusal

HEADER = "X-Envoy-Expected-Rq-Timeout-Ms"


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
        raise Refusal(504, "the deadline of this request is over", not_applied=True)
    _current.set(Deadline(now(), now() + left))


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
