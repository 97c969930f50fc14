"""What a wire fault is: a change to the answer, to its bytes, or to the way they are sent.

This base class changes nothing: it is how a healthy provider answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar

from aiohttp import web

from ..answers import Answer
from ..calls import ENDPOINTS, Call

A = TypeVar("A", bound=Answer)

#: Every wire fault by its name.
REGISTRY: dict[str, type[WireFault[Any]]] = {}


class Wire:
    """The connection of one call. `over` is set once the fault is taken back: whoever waits then goes on."""

    def __init__(
        self, request: web.Request, answer: Answer, length: int, over: asyncio.Event, gap: float
    ) -> None:
        self._request = request
        self._over = over
        self.answer = answer
        self.gap = gap
        self.response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
        if answer.streamed:
            self.response.headers.update({"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        else:
            self.response.headers["Content-Type"] = "application/json; charset=utf-8"
            self.response.content_length = length

    async def begin(self) -> None:
        """Send status line and headers, once."""
        if not self.response.prepared:
            await self.response.prepare(self._request)

    async def write(self, frame: bytes) -> None:
        """Send bytes of the body."""
        await self.begin()
        await self.response.write(frame)

    async def pause(self, seconds: float | None) -> None:
        """Wait so long, without limit if None, but no longer than the fault is in force."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    async def reset(self) -> None:
        """End the connection with a TCP reset, once the client has what was sent so far."""
        transport = self._request.transport
        if transport is None:
            return
        sock = transport.get_extra_info("socket")
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(1):
                while transport.get_write_buffer_size() or _unacknowledged(sock):
                    await asyncio.sleep(0.002)
        # Lingering for 0 s discards instead of closing in order: the peer gets RST, not FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


@dataclass(frozen=True)
class WireFault(Generic[A]):
    """A fault of an answer of type A; its fields are its parameters, checked in `__post_init__` (ValueError).

    `endpoints` are those it can strike, `shapes` whether streamed answers, whole ones, or both.
    """

    name: ClassVar[str]
    endpoints: ClassVar[tuple[str, ...]] = ENDPOINTS
    shapes: ClassVar[tuple[bool, ...]] = (True, False)

    def strikes(self, call: Call) -> bool:
        """Whether this fault makes sense for the call."""
        return call.endpoint in self.endpoints and call.streamed in self.shapes

    def instead(self, call: Call) -> Answer | None:
        """An answer in place of the model's."""
        return None

    def edit(self, answer: A, call: Call) -> A:
        """The model's answer, changed."""
        return answer

    def encode(self, frames: list[bytes], streamed: bool) -> list[bytes]:
        """The answer's bytes, changed."""
        return frames

    async def send(self, wire: Wire, frames: list[bytes]) -> None:
        """Send the frames; may raise nothing but what the connection raises."""
        for number, frame in enumerate(frames):
            if number and wire.answer.streamed:
                await asyncio.sleep(wire.gap)
            await wire.write(frame)


HEALTHY: WireFault[Any] = WireFault()

F = TypeVar("F", bound=type[WireFault[Any]])


def register(cls: F) -> F:
    """Class decorator: scripts can name it."""
    REGISTRY[cls.name] = cls
    return cls


def make(name: str, params: dict[str, Any]) -> WireFault[Any]:
    """The fault of that name; ValueError names the valid ones."""
    if name not in REGISTRY:
        raise ValueError(f"unknown fault {name!r}; known: {', '.join(sorted(REGISTRY))}")
    cls = REGISTRY[name]
    known = [f.name for f in fields(cls)]
    if unknown := [p for p in params if p not in known]:
        raise ValueError(
            f"fault {name!r} has no parameter {', '.join(unknown)}; it has: {', '.join(known) or 'none'}"
        )
    return cls(**params)


def require(what: str, value: Any, kind: type | tuple[type, ...], low: float, high: float) -> None:
    """ValueError unless `value` is a number of that kind from `low` to `high`."""
    number = isinstance(value, kind) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ValueError(f"{what} must be a number from {low} to {high}, not {value!r}")


def _unacknowledged(sock: Any) -> int:
    """Bytes that the kernel has yet to see acknowledged by the peer."""
    held = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int(struct.unpack("i", held)[0])
