"""The search tool, asked over HTTP. What it answers is checked before it becomes part of a prompt."""

from __future__ import annotations

import logging
from typing import Annotated, Protocol

import httpx
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from . import deadline
from .breaker import Breaker, BreakerOpen
from .bulkhead import Bulkhead
from .errors import NotAsked, Refusal
from .tracing import traced

log = logging.getLogger(__name__)
LARGEST = 64 * 1024  # bytes of an answer
USED = 3  # results that a model is shown


class ToolUnavailable(Exception):
    """The tool failed, was slow, answered garbage, its breaker is open, or its bulkhead is full."""


class Tool(Protocol):
    """What the graph asks of a tool."""

    async def search(self, question: str) -> list[str]:
        """What was found, best first, maybe nothing; raises ToolUnavailable."""


class Result(BaseModel):
    """One result as the tool gives it."""

    model_config = ConfigDict(strict=True)

    title: Annotated[str, Field(min_length=1, max_length=200)]
    snippet: Annotated[str, Field(min_length=1, max_length=1000)]


class Results(BaseModel):
    """The whole answer of the tool; further fields are ignored."""

    model_config = ConfigDict(strict=True)

    results: Annotated[list[Result], Field(max_length=50)]


class SearchTool:
    """One attempt a turn, behind a breaker and a bulkhead of its own.

    It takes at most `timeout` seconds, and no more than the turn has left. Where it is not `optional`, its
    failure is the turn's: what a service does that forgot to catch it.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        breaker: Breaker,
        bulkhead: Bulkhead,
        *,
        timeout: float,
        optional: bool = True,
    ) -> None:
        self._client = client
        self._url = url
        self._breaker = breaker
        self._bulkhead = bulkhead
        self._timeout = timeout
        self._optional = optional

    @traced("tool search", SpanKind.CLIENT)
    async def search(self, question: str) -> list[str]:
        """As Tool."""
        try:
            with self._breaker.guard():
                async with deadline.allowed(self._timeout) as seconds, self._bulkhead.enter():
                    body = await self._get(question, seconds)
                found = Results.model_validate_json(body).results
        except (httpx.HTTPError, ValidationError, TooLarge, OSError, BreakerOpen, NotAsked) as error:
            log.warning("the tool did not answer", extra={"error": type(error).__name__})
            if not self._optional:
                raise Refusal(503, "the search tool does not answer", retry_after=1) from error
            raise ToolUnavailable(type(error).__name__) from error
        return [f"{result.title}: {result.snippet}" for result in found[:USED]]

    async def _get(self, question: str, seconds: float) -> bytes:
        # Not compressed: an answer must not grow after its size was checked.
        headers = {"Accept-Encoding": "identity", deadline.HEADER: str(int(seconds * 1000))}
        request = self._client.stream("GET", f"{self._url}/search", params={"q": question}, headers=headers)
        async with request as answer:
            answer.raise_for_status()
            body = bytearray()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > LARGEST:
                    raise TooLarge
        return bytes(body)


class TooLarge(Exception):
    """The tool's answer is larger than LARGEST."""
