"""Errors: the call is answered with an HTTP status and a body in OpenAI's form."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import ClassVar

from ..answers import Answer, Failure
from ..calls import Call
from .base import Wire, WireFault, register, require

KINDS = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@register
@dataclass(frozen=True)
class Error(WireFault[Answer]):
    """`status`, `delay_s` after the call came."""

    name: ClassVar[str] = "error"
    status: int = 503
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        require("status", self.status, int, 400, 599)
        require("delay_s", self.delay_s, (int, float), 0, 3600)

    def instead(self, call: Call) -> Answer:
        """See WireFault.instead."""
        kind = KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        code = "invalid_api_key" if self.status == 401 else None
        return Failure(status=self.status, kind=kind, code=code, message=f"told to answer {self.status}")

    async def send(self, wire: Wire, frames: list[bytes]) -> None:
        """See WireFault.send."""
        await wire.pause(self.delay_s)
        await super().send(wire, frames)


@register
@dataclass(frozen=True)
class RateLimit(WireFault[Answer]):
    """429 with a Retry-After of so many seconds, or as the HTTP date that far ahead."""

    name: ClassVar[str] = "rate_limit"
    retry_after_s: int = 5
    date: bool = False

    def __post_init__(self) -> None:
        require("retry_after_s", self.retry_after_s, int, 0, 86400)

    def instead(self, call: Call) -> Answer:
        """See WireFault.instead."""
        at = formatdate(time.time() + self.retry_after_s, usegmt=True)
        return Failure(
            status=429,
            kind="requests",
            code="rate_limit_exceeded",
            message="Rate limit reached for requests",
            headers={"Retry-After": at if self.date else str(self.retry_after_s)},
        )


@register
@dataclass(frozen=True)
class Quota(WireFault[Answer]):
    """429 insufficient_quota: no wait helps, and no Retry-After says otherwise."""

    name: ClassVar[str] = "quota"

    def instead(self, call: Call) -> Answer:
        """See WireFault.instead."""
        kind = "insufficient_quota"
        return Failure(status=429, kind=kind, code=kind, message="You exceeded your current quota")


@register
@dataclass(frozen=True)
class ContextLength(WireFault[Answer]):
    """400 context_length_exceeded: the same call can never succeed."""

    name: ClassVar[str] = "context_length"
    endpoints: ClassVar[tuple[str, ...]] = ("chat", "embeddings")
    limit: int = 8192

    def __post_init__(self) -> None:
        require("limit", self.limit, int, 1, 10_000_000)

    def instead(self, call: Call) -> Answer:
        """See WireFault.instead."""
        message = f"This model's maximum context length is {self.limit} tokens; your messages have more"
        param = "messages" if call.endpoint == "chat" else "input"
        return Failure(status=400, code="context_length_exceeded", param=param, message=message)
