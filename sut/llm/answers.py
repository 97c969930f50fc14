"""What the provider says: answers as data, and the bytes that carry each on OpenAI's wire protocol.

All of it depends on the model's name, its seed and the input only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import random
import re
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WORDS = ("order", "parcel", "delivery", "refund", "account", "card", "invoice", "warranty", "store", "price")
WORD = re.compile(r"[a-z0-9]+")
PIECE = re.compile(r"\S+\s*")
DEFAULT_DIMENSIONS = 64
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, kw_only=True)
class Answer(ABC):
    """An answer of `model`; `streamed` ones are sent frame by frame as server-sent events."""

    model: str
    streamed: bool = False
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """How many pieces the model says, one after the other."""
        return 1

    @abstractmethod
    def frames(self) -> list[bytes]:
        """The body: one frame an event if streamed, else a single frame."""


@dataclass(frozen=True, kw_only=True)
class Chat(Answer):
    """A chat completion. A `finish` of None ends it without a reason, without usage and without [DONE].

    `refusal` says that the pieces refuse rather than answer; `tool` is a function to call with `pieces`, its
    arguments, in place of content.
    """

    id: str
    pieces: tuple[str, ...]
    prompt_tokens: int
    finish: str | None = "stop"
    refusal: bool = False
    tool: str | None = None
    usage_asked: bool = True

    @property
    def tokens(self) -> int:
        """See Answer.tokens."""
        return len(self.pieces)

    def frames(self) -> list[bytes]:
        """See Answer.frames."""
        if not self.streamed:
            choice = {"index": 0, "message": self._message(), "finish_reason": self.finish}
            return [_json({**self._envelope("chat.completion", [choice]), "usage": self._usage()})]
        first, *others = self._deltas()
        deltas = [{"role": "assistant", **first}, *others]
        chunks = [self._chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
        if self.finish is None:
            return [_event(chunk) for chunk in chunks]
        chunks.append(self._chunk([{"index": 0, "delta": {}, "finish_reason": self.finish}]))
        if self.usage_asked:
            chunks.append({**self._chunk([]), "usage": self._usage()})
        return [*(_event(chunk) for chunk in chunks), DONE]

    def _message(self) -> dict[str, Any]:
        text = "".join(self.pieces)
        if self.tool is not None:
            function = {"name": self.tool, "arguments": text}
            call = {"id": f"call-{self.id}", "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        if self.refusal:
            return {"role": "assistant", "content": None, "refusal": text}
        return {"role": "assistant", "content": text}

    def _deltas(self) -> Iterator[dict[str, Any]]:
        if self.tool is None:
            part = "refusal" if self.refusal else "content"
            yield from ({part: piece} for piece in self.pieces or ("",))
            return
        opening = {"id": f"call-{self.id}", "type": "function"}
        yield {"tool_calls": [{"index": 0, **opening, "function": {"name": self.tool, "arguments": ""}}]}
        for piece in self.pieces:
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return self._envelope("chat.completion.chunk", choices)

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": int(time.time()),
            "model": self.model,
            "choices": choices,
        }

    def _usage(self) -> dict[str, int]:
        said = len("".join(self.pieces).split())
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self.prompt_tokens + said,
        }


@dataclass(frozen=True, kw_only=True)
class Vectors(Answer):
    """Embeddings of `texts` in the space of `seed`; `packed` as base64 of little-endian floats."""

    texts: tuple[str, ...]
    seed: int | str
    dimensions: int
    packed: bool = False

    def frames(self) -> list[bytes]:
        """See Answer.frames."""
        data = []
        for index, text in enumerate(self.texts):
            value: list[float] | str = vector(self.seed, text, self.dimensions)
            if self.packed:
                value = base64.b64encode(struct.pack(f"<{self.dimensions}f", *value)).decode()
            data.append({"object": "embedding", "index": index, "embedding": value})
        tokens = sum(len(text.split()) for text in self.texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return [_json({"object": "list", "model": self.model, "data": data, "usage": usage})]


@dataclass(frozen=True, kw_only=True)
class Listing(Answer):
    """The list of models."""

    node: str

    def frames(self) -> list[bytes]:
        """See Answer.frames."""
        entry = {"id": self.model, "object": "model", "created": 0, "owned_by": self.node}
        return [_json({"object": "list", "data": [entry]})]


@dataclass(frozen=True, kw_only=True)
class Failure(Answer):
    """An error in OpenAI's form."""

    message: str
    model: str = ""
    status: int = 400
    kind: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None

    def frames(self) -> list[bytes]:
        """See Answer.frames."""
        told = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return [_json({"error": told})]


def say(model: str, seed: int, messages: list[dict[str, Any]]) -> str:
    """Two sentences drawn by the hash of the whole conversation."""
    text = json.dumps(messages, sort_keys=True)
    draw = random.Random(digest(f"{seed}|{model}|{text}"))
    asked = " ".join(text_of(messages[-1]).split()[:8])
    chosen = " ".join(draw.choice(WORDS) for _ in range(8))
    return f"[{model}] You asked: {asked}. In short: {chosen}."


def vector(seed: int | str, text: str, dimensions: int) -> list[float]:
    """A unit vector: the sum of one pseudo-random direction for each word, so like texts are near."""
    total = [0.0] * dimensions
    for word in WORD.findall(text.lower()) or [""]:
        draw = random.Random(digest(f"{seed}|{word}"))
        total = [value + draw.gauss(0, 1) for value in total]
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return [value / length for value in total]


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, whole or in parts."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _event(body: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + _json(body) + b"\n\n"


def digest(text: str) -> int:
    """64 bits that depend on `text` alone."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
