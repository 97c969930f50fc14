"""The language models: two providers with a strong and a cheap model each.

Each is asked at most once a turn; no other layer asks again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import openai
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from opentelemetry.trace import SpanKind
from pydantic import SecretStr

from . import deadline
from .answers import Heard, refused, serves
from .breaker import Breaker, BreakerOpen
from .bulkhead import Bulkhead
from .errors import ModelsUnavailable, NotAsked, Refusal
from .retries import RetryBudget, retry_after
from .tracing import client, traced
from .usage import Price, Usage

log = logging.getLogger(__name__)
# What a provider may make the client raise, malformed answers included.
PROVIDER_ERRORS = (
    openai.OpenAIError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    BreakerOpen,
    NotAsked,
)
CONNECT_S = 0.5
# Of an answer; what is longer than it could be all the same is cut off by `answers` and `bodies`.
MOST_TOKENS = 1024
# What a turn still has to do when its answer is there; and the time below which asking is of no use.
STORING_S = 0.2
LEAST_S = 0.05


class ChatModel(Protocol):
    """The part of a LangChain chat model that is used here."""

    async def ainvoke(self, input: list[BaseMessage], **options: Any) -> BaseMessage:
        """One whole answer."""

    def astream(self, input: list[BaseMessage], **options: Any) -> AsyncIterator[BaseMessage]:
        """The answer in pieces."""


@dataclass(frozen=True)
class Generated:
    """An answer, the model that gave it, whether that was another than wanted, and whether it `declined`.

    `usage` is that of all attempts.
    """

    text: str
    model: str
    fallback: bool
    declined: bool = False
    usage: Usage = field(default=Usage(), compare=False)


@dataclass(frozen=True)
class Provider:
    """What all models of a provider share."""

    name: str
    bulkhead: Bulkhead
    budget: RetryBudget


@dataclass(frozen=True)
class Target:
    """A model at a provider, behind a breaker of its own; `name` empty: any echo will do."""

    provider: Provider
    tier: str
    client: ChatModel
    breaker: Breaker
    name: str = ""
    price: Price = field(default=Price())


@dataclass(frozen=True)
class Called:
    """An attempt that is over, for the metrics; `outcome` is "ok" or the name of an error."""

    target: Target
    outcome: str
    usage: Usage


class Models:
    """Answers from the first of its targets that can, the primary's strong model before all.

    Each is asked once a turn, one after the other, in the time that two take at their slowest. The second
    call of a provider in a turn, for its other model, is a retry and needs its budget. A provider that names
    a time to wait is not asked before; where it does so by 429, that is of the one model's limit, and its
    other model may be asked.

    `without` names what a negative control takes away: `model-fallback` (other providers), `stream-fallback`
    (other models once a token was given out), `stream-reset` (the word that these tokens are void),
    `answer-check` (of what use an answer is), `final-refusals` (that no other model is asked after one),
    `model-echo` (whether the model that answered is the one that was asked), `declined` (that it declined).
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        timeout: float,
        on_call: Callable[[Called], None] = lambda called: None,
        without: Collection[str] = (),
    ) -> None:
        self._without = frozenset(without)
        if "model-fallback" in self._without:
            targets = [each for each in targets if each.provider is targets[0].provider]
        self._targets = tuple(targets)
        self._timeout = timeout
        self._on_call = on_call

    async def answer(
        self, messages: list[BaseMessage], emit: Callable[[str, str], None] | None = None
    ) -> Generated:
        """The answer; raises ModelsUnavailable, or Refusal where no other model may or can answer.

        Either tells the `usage` of what was asked in vain.

        With `emit`, tokens are given out as ("token", text) while they come; ("reset", "") says that those
        so far are void because the answer starts anew elsewhere.
        """
        limit = deadline.current(float("inf"))
        ends = min(deadline.now() + 2 * self._timeout, limit.ends - STORING_S)
        asked: set[str] = set()
        usage = Usage()
        for target in self._targets:
            timeout = min(self._timeout, ends - deadline.now())
            if timeout < LEAST_S:
                break
            heard, outcome = Heard(), "cancelled"
            refusal: Refusal | None = None
            try:
                await self._ask(target, messages, heard, emit, timeout, asked)
                outcome = "ok"
            except Refusal as final:
                refusal, outcome = final, str(final.status)
            except PROVIDER_ERRORS as error:
                outcome = type(error).__name__
                self._wait(target, error)
                if "final-refusals" not in self._without:
                    refusal = refused(error)
            finally:
                spent = heard.usage(target.price, messages)
                usage += spent
                self._on_call(Called(target, outcome, spent))
            if refusal is not None:
                refusal.usage = usage
                raise refusal
            if outcome == "ok":
                return self._generated(target, heard, usage)
            log.warning("model failed", extra={"model": target.breaker.name, "error": outcome})
            if emit is not None and any(heard.pieces):
                if "stream-fallback" in self._without:
                    break
                if "stream-reset" not in self._without:
                    emit("reset", "")
        wait = min((target.breaker.wait_s for target in self._targets), default=0.0)
        unavailable = ModelsUnavailable("no model answers", retry_after=max(1, math.ceil(wait)))
        unavailable.usage = usage
        raise unavailable

    @traced("llm chat", SpanKind.CLIENT)
    async def _ask(
        self,
        target: Target,
        messages: list[BaseMessage],
        heard: Heard,
        emit: Callable[[str, str], None] | None,
        timeout: float,
        asked: set[str],
    ) -> None:
        provider = target.provider
        with target.breaker.guard():
            if provider.name in asked:
                if not provider.budget.retry():
                    raise NotAsked("the retry budget is spent")
            else:
                provider.budget.called()
            asked.add(provider.name)
            async with deadline.allowed(self._timeout, timeout), provider.bulkhead.enter():
                options: dict[str, Any] = {
                    "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_S)),
                    "extra_headers": {deadline.HEADER: str(int(timeout * 1000))},
                }
                if emit is None:
                    heard.hear(await target.client.ainvoke(messages, **options))
                else:
                    async for chunk in target.client.astream(messages, **options):
                        if piece := heard.hear(chunk):
                            emit("token", piece)
            self._check(heard)

    def _check(self, heard: Heard) -> None:
        if "answer-check" in self._without:
            return
        try:
            heard.check()
        except Refusal as refusal:
            if "final-refusals" not in self._without:
                raise
            raise ValueError(refusal.reason) from refusal

    def _wait(self, target: Target, error: BaseException) -> None:
        """Hold what asked for time: a model whose own limit was met, else all of an overloaded provider."""
        if isinstance(error, openai.APIStatusError):
            seconds = retry_after(error.response.headers)
            alone = isinstance(error, openai.RateLimitError)
            for each in self._targets:
                if each is target or (each.provider is target.provider and not alone):
                    each.breaker.hold(seconds)

    def _generated(self, target: Target, heard: Heard, usage: Usage) -> Generated:
        names = [each.name for each in self._targets]
        other = bool(target.name and heard.model) and serves(heard.model, names) != target.name
        if other:
            log.warning("another model answered", extra={"asked": target.name, "answered": heard.model})
        fallback = (other and "model-echo" not in self._without) or target is not self._targets[0]
        declined = heard.declined and "declined" not in self._without
        return Generated(heard.text, heard.model or target.name, fallback, declined, usage)


class DecliningChatOpenAI(ChatOpenAI):
    """Keeps `refusal` in streams too, where the parent drops it and the answer would look empty."""

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], *args: Any, **options: Any
    ) -> ChatGenerationChunk | None:
        made = super()._convert_chunk_to_generation_chunk(chunk, *args, **options)
        choices = chunk.get("choices")
        if made is not None and choices and (declined := choices[0]["delta"].get("refusal")):
            made.message.additional_kwargs["refusal"] = declined
        return made


def chat_model(url: str, name: str, timeout: float, *, keep_alive: bool = True) -> ChatOpenAI:
    """A client that neither retries nor waits longer than `timeout` seconds for any byte.

    Without `keep_alive` every call connects anew.
    """
    return DecliningChatOpenAI(
        base_url=url,
        api_key=SecretStr("sample"),
        model=name,
        temperature=0,
        max_completion_tokens=MOST_TOKENS,
        max_retries=0,
        stream_usage=True,
        timeout=httpx.Timeout(timeout, connect=CONNECT_S),
        default_headers={} if keep_alive else {"Connection": "close"},
        http_async_client=client(httpx.Timeout(timeout, connect=CONNECT_S)),
    )
