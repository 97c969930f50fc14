"""The language models: a primary behind a breaker, and a fallback.

Each is asked once a turn; no other layer asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx
import openai
from langchain_core.messages import BaseMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from opentelemetry.trace import SpanKind
from pydantic import SecretStr

from .breaker import Breaker, BreakerOpen
from .errors import ModelsUnavailable
from .tracing import client, traced

log = logging.getLogger(__name__)
DIMENSIONS = 64
# What a provider may make the client raise, malformed answers included.
PROVIDER_ERRORS = (
    openai.OpenAIError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    BreakerOpen,
)


class ChatModel(Protocol):
    """The part of a LangChain chat model that is used here."""

    async def ainvoke(self, input: list[BaseMessage]) -> BaseMessage:
        """One whole answer."""

    def astream(self, input: list[BaseMessage]) -> AsyncIterator[BaseMessage]:
        """The answer in pieces."""


class Embedder(Protocol):
    """Turns texts into vectors of one model's space."""

    model: str

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text; raises one of PROVIDER_ERRORS."""


@dataclass(frozen=True)
class Generated:
    """An answer, the model that gave it, and whether that was the fallback."""

    text: str
    model: str
    fallback: bool


class Models:
    """Answers from the primary; from the fallback when the primary fails or its breaker is open."""

    def __init__(self, primary: ChatModel, fallback: ChatModel, breaker: Breaker, *, timeout: float) -> None:
        self._primary = primary
        self._fallback = fallback
        self._breaker = breaker
        self._timeout = timeout

    async def answer(
        self, messages: list[BaseMessage], emit: Callable[[str, str], None] | None = None
    ) -> Generated:
        """The answer; raises ModelsUnavailable.

        With `emit`, tokens are given out as ("token", text) while they come; ("reset", "") says that those
        so far are void because the answer starts anew on the fallback.
        """
        try:
            with self._breaker.guard():
                text, model = await self._ask(self._primary, messages, emit)
                return Generated(text, model, fallback=False)
        except PROVIDER_ERRORS as error:
            log.warning("primary model failed", extra={"error": type(error).__name__})
        if emit is not None:
            emit("reset", "")
        try:
            text, model = await self._ask(self._fallback, messages, emit)
        except PROVIDER_ERRORS as error:
            raise ModelsUnavailable(f"no model answers: {type(error).__name__}") from error
        return Generated(text, model, fallback=True)

    @traced("llm chat", SpanKind.CLIENT)
    async def _ask(
        self, model: ChatModel, messages: list[BaseMessage], emit: Callable[[str, str], None] | None
    ) -> tuple[str, str]:
        async with asyncio.timeout(self._timeout):
            if emit is None:
                message = await model.ainvoke(messages)
                text, meta = str(message.content), message.response_metadata
            else:
                pieces, meta = [], {}
                async for chunk in model.astream(messages):
                    meta.update(chunk.response_metadata)
                    if piece := str(chunk.content):
                        pieces.append(piece)
                        emit("token", piece)
                text = "".join(pieces)
        # A connection that ends cleanly in mid-answer raises nothing: only the finish reason tells.
        if not text.strip() or meta.get("finish_reason") not in ("stop", "length"):
            raise ValueError("the answer is empty or unfinished")
        return text, str(meta.get("model_name", ""))


class OpenAIEmbedder:
    """Embeddings of the primary provider."""

    def __init__(self, client: OpenAIEmbeddings, breaker: Breaker, *, timeout: float) -> None:
        self.model = client.model
        self._client = client
        self._breaker = breaker
        self._timeout = timeout

    @traced("llm embed", SpanKind.CLIENT)
    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of DIMENSIONS a text; raises one of PROVIDER_ERRORS."""
        with self._breaker.guard():
            async with asyncio.timeout(self._timeout):
                vectors = await self._client.aembed_documents(list(texts))
            if len(vectors) != len(texts) or any(len(vector) != DIMENSIONS for vector in vectors):
                raise ValueError("vectors of another shape than asked for")
            return vectors


def chat_model(url: str, name: str, timeout: float) -> ChatOpenAI:
    """A client that neither retries nor waits longer than `timeout` seconds for any byte."""
    return ChatOpenAI(
        base_url=url,
        api_key=SecretStr("sample"),
        model=name,
        temperature=0,
        max_retries=0,
        timeout=httpx.Timeout(timeout, connect=0.5),
        http_async_client=client(httpx.Timeout(timeout, connect=0.5)),
    )


def embeddings(url: str, name: str, timeout: float) -> OpenAIEmbeddings:
    """A client for texts as they are; counting tokens would download a table from the internet."""
    return OpenAIEmbeddings(
        base_url=url,
        api_key=SecretStr("sample"),
        model=name,
        dimensions=DIMENSIONS,
        check_embedding_ctx_length=False,
        max_retries=0,
        timeout=httpx.Timeout(timeout, connect=0.5),
        http_async_client=client(httpx.Timeout(timeout, connect=0.5)),
    )


def vector_text(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.6f}" for value in vector) + "]"
