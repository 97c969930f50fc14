"""Answers over HTTP that end: a server that goes on sending must not fill this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

#: Bytes of an answer's body: of a stream too, whose every token has some 300 bytes around it.
LARGEST = 1 << 20


async def bounded(response: httpx.Response) -> None:
    """An httpx event hook: the body cannot be read beyond LARGEST; then it raises httpx.ReadError."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = Bounded(response.stream)
    # As it was sent: unpacked, it would grow after its size was checked.
    response.headers.pop("Content-Encoding", None)


class Bounded(httpx.AsyncByteStream):
    """A body of which no more than LARGEST bytes are read."""

    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """As httpx; raises httpx.ReadError."""
        size = 0
        async for piece in self._body:
            size += len(piece)
            if size > LARGEST:
                raise httpx.ReadError(f"the answer has more than {LARGEST} bytes")
            yield piece

    async def aclose(self) -> None:
        """As httpx."""
        await self._body.aclose()
