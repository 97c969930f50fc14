"""A model call as data, and the bounded log of those that came."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

from .answers import text_of

PATHS = {
    "chat": "/v1/chat/completions",
    "embeddings": "/v1/embeddings",
    "models": "/v1/models",
}
ENDPOINTS = tuple(PATHS)
KEPT = 5000


@dataclass(frozen=True)
class Call:
    """What was asked: the endpoint, the model by the caller's name for it, and the body."""

    endpoint: str
    client: str | None = None
    model: str | None = None
    streamed: bool = False
    body: dict[str, Any] = field(default_factory=dict)

    @classmethod
    async def read(cls, endpoint: str, request: web.Request) -> Call:
        """Raises ValueError for a body that is no JSON object."""
        body = await request.json() if request.can_read_body else {}
        if not isinstance(body, dict):
            raise ValueError("the body must be an object")
        model = body.get("model")
        streamed = endpoint == "chat" and bool(body.get("stream"))
        return cls(endpoint, request.remote, None if model is None else str(model), streamed, body)

    @property
    def asked(self) -> str:
        """The first 200 characters of the last message or of the texts to embed."""
        last = self.body.get("messages") or self.body.get("input") or ""
        last = last[-1] if isinstance(last, list) else last
        return (text_of(last) if isinstance(last, dict) else str(last))[:200]


@dataclass
class Entry:
    """A call that came. Times are monotonic seconds; `end` is None while it is under way.

    `script` and `fault` name the script that it met and the fault of its rule, null for a healthy answer.
    """

    client: str | None
    path: str
    model: str | None
    stream: bool
    asked: str
    begin: float
    end: float | None = None
    script: str | None = None
    fault: str | None = None


@dataclass
class Log:
    """Counts of all calls since the start or the last reset, and the last KEPT of them."""

    counts: Counter[str] = field(default_factory=Counter)
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))

    @contextmanager
    def note(self, call: Call) -> Iterator[Entry]:
        """Count the call and keep it, with begin and end."""
        self.counts[f"{call.endpoint}_stream" if call.streamed else call.endpoint] += 1
        entry = Entry(
            call.client, PATHS[call.endpoint], call.model, call.streamed, call.asked, time.monotonic()
        )
        self.entries.append(entry)
        try:
            yield entry
        finally:
            entry.end = time.monotonic()

    def clear(self) -> None:
        """Forget all."""
        self.counts.clear()
        self.entries.clear()

    def to_dict(self) -> dict[str, Any]:
        """As GET /admin/requests gives it."""
        kinds = {kind: self.counts[kind] for kind in ("chat", "chat_stream", "embeddings", "models")}
        total = sum(kinds.values())
        log = [asdict(entry) for entry in self.entries]
        return {"total": total, **kinds, "forgotten": total - len(log), "log": log}
