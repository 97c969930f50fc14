"""A model provider on OpenAI's wire protocol; its answers depend on its name, seed and input only."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import os
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WORDS = ("order", "parcel", "delivery", "refund", "account", "card", "invoice", "warranty", "store", "price")
WORD = re.compile(r"[a-z0-9]+")
DEFAULT_DIMENSIONS = 64


@dataclass
class Provider:
    """`latency` seconds pass before an answer, `per_token` more between the pieces of a stream."""

    node: str = "llm"
    model: str = "sample"
    seed: int = 0
    latency: float = 0.02
    per_token: float = 0.002
    counts: Counter[str] = field(default_factory=Counter)
    script: dict[str, Any] | None = None
    scripted: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, messages: list[dict[str, Any]]) -> str:
        """Two sentences drawn by the hash of the whole conversation."""
        text = json.dumps(messages, sort_keys=True)
        draw = random.Random(_digest(f"{self.seed}|{self.model}|{text}"))
        asked = " ".join(_text(messages[-1]).split()[:8])
        chosen = " ".join(draw.choice(WORDS) for _ in range(8))
        return f"[{self.model}] You asked: {asked}. In short: {chosen}."

    def vector(self, text: str, dimensions: int) -> list[float]:
        """A unit vector: the sum of one pseudo-random direction for each word, so like texts are near."""
        total = [0.0] * dimensions
        for word in WORD.findall(text.lower()) or [""]:
            draw = random.Random(_digest(f"{self.seed}|{word}"))
            total = [value + draw.gauss(0, 1) for value in total]
        length = math.sqrt(sum(value * value for value in total)) or 1.0
        return [value / length for value in total]

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions, whole or streamed."""
        body = await _json(request)
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            return _error(400, "messages must be a non-empty list")
        answer = self.answer(messages)
        usage = _usage(messages, answer)
        if body.get("stream"):
            self.counts["chat_stream"] += 1
            options = body.get("stream_options") or {}
            return await self._stream(request, answer, usage if options.get("include_usage") else None)
        self.counts["chat"] += 1
        await asyncio.sleep(self.latency)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": answer},
            "finish_reason": "stop",
        }
        return web.json_response(self._envelope("chat.completion", [choice], usage))

    async def embeddings(self, request: web.Request) -> web.Response:
        """POST /v1/embeddings, as floats or base64."""
        body = await _json(request)
        texts = body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return _error(400, "input must be a string or a list of strings")
        self.counts["embeddings"] += 1
        dimensions = int(body.get("dimensions") or DEFAULT_DIMENSIONS)
        if not 1 <= dimensions <= 4096:
            return _error(400, "dimensions must be between 1 and 4096")
        await asyncio.sleep(self.latency / 4)
        packed = body.get("encoding_format") == "base64"
        data = []
        for index, text in enumerate(texts):
            vector = self.vector(text, dimensions)
            value = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if packed else vector
            data.append({"object": "embedding", "index": index, "embedding": value})
        tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        model = str(body.get("model") or self.model)
        return web.json_response({"object": "list", "model": model, "data": data, "usage": usage})

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models."""
        self.counts["models"] += 1
        entry = {"id": self.model, "object": "model", "created": 0, "owned_by": self.node}
        return web.json_response({"object": "list", "data": [entry]})

    async def requests(self, request: web.Request) -> web.Response:
        """GET /admin/requests: how many of each kind since the start or the last reset.

        `scripted` lists those answered by a script: client address, path, begin and end in monotonic seconds.
        """
        kinds = {kind: self.counts[kind] for kind in ("chat", "chat_stream", "embeddings", "models")}
        told = {"node": self.node, "total": sum(kinds.values()), **kinds}
        return web.json_response({**told, "scripted": self.scripted})

    async def reset(self, request: web.Request) -> web.Response:
        """POST /admin/reset."""
        self.counts.clear()
        self.scripted.clear()
        self.script = None
        return web.json_response({"reset": True})

    async def put_script(self, request: web.Request) -> web.Response:
        """PUT /admin/script: from now on every model call is answered with `status`, after `delay_ms`."""
        body = await _json(request)
        status, delay = body.get("status"), body.get("delay_ms", 0)
        if not isinstance(status, int) or not 400 <= status <= 599:
            return _error(400, "status must be an HTTP error, 400 to 599")
        if not isinstance(delay, int) or not 0 <= delay <= 60_000:
            return _error(400, "delay_ms must be a whole number from 0 to 60000")
        self.script = {"status": status, "delay_ms": delay}
        return web.json_response({"script": self.script})

    async def get_script(self, request: web.Request) -> web.Response:
        """GET /admin/script: the script in force, or null."""
        return web.json_response({"script": self.script})

    async def delete_script(self, request: web.Request) -> web.Response:
        """DELETE /admin/script: answer as a provider does."""
        self.script = None
        return web.json_response({"script": None})

    @web.middleware
    async def follow(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer model calls by the script while there is one, and note each."""
        script = self.script
        if script is None or not request.path.startswith("/v1/"):
            return await handler(request)
        call = {"client": request.remote, "path": request.path, "begin": time.monotonic(), "end": None}
        self.scripted.append(call)
        try:
            await request.read()
            await asyncio.sleep(script["delay_ms"] / 1000)
        finally:
            call["end"] = time.monotonic()
        return _error(script["status"], f"{self.node} is told to answer {script['status']}")

    async def live(self, request: web.Request) -> web.Response:
        """GET /health/live."""
        return web.json_response({"live": True, "node": self.node, "model": self.model})

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[_errors, self.follow])
        app.add_routes(
            [
                web.post("/v1/chat/completions", self.chat),
                web.post("/v1/embeddings", self.embeddings),
                web.get("/v1/models", self.models),
                web.get("/admin/requests", self.requests),
                web.post("/admin/reset", self.reset),
                web.put("/admin/script", self.put_script),
                web.get("/admin/script", self.get_script),
                web.delete("/admin/script", self.delete_script),
                web.get("/health/live", self.live),
            ]
        )
        return app

    def _envelope(
        self, kind: str, choices: list[dict[str, Any]], usage: dict[str, int] | None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": f"chatcmpl-{self.node}-{sum(self.counts.values())}",
            "object": kind,
            "created": int(time.time()),
            "model": self.model,
            "choices": choices,
        }
        return body if usage is None else {**body, "usage": usage}

    async def _stream(
        self, request: web.Request, answer: str, usage: dict[str, int] | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await asyncio.sleep(self.latency)
        await response.prepare(request)
        for choice in _chunks(answer):
            await _send(response, self._envelope("chat.completion.chunk", [choice], None))
            await asyncio.sleep(self.per_token)
        if usage is not None:
            await _send(response, self._envelope("chat.completion.chunk", [], usage))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response


def _chunks(answer: str) -> Iterator[dict[str, Any]]:
    for number, piece in enumerate(re.findall(r"\S+\s*", answer)):
        delta = {"role": "assistant", "content": piece} if number == 0 else {"content": piece}
        yield {"index": 0, "delta": delta, "finish_reason": None}
    yield {"index": 0, "delta": {}, "finish_reason": "stop"}


async def _send(response: web.StreamResponse, body: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(body).encode() + b"\n\n")


async def _json(request: web.Request) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict):
        raise ValueError("the body must be an object")
    return body


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValueError as error:
        return _error(400, str(error))


def _error(status: int, message: str) -> web.Response:
    kind = "invalid_request_error"
    return web.json_response({"error": {"message": message, "type": kind, "code": None}}, status=status)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _usage(messages: list[dict[str, Any]], answer: str) -> dict[str, int]:
    asked = sum(len(_text(message).split()) for message in messages)
    said = len(answer.split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def listen_addresses(hostname: str) -> list[str]:
    """The pod's own IPv4 addresses and loopback; the wildcard would collide with the sidecar's listeners."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(hostname, None, socket.AF_INET)}
    except socket.gaierror:
        found = set()
    own = sorted(address for address in found if not address.startswith("127."))
    return [*own, "127.0.0.1"]


def main() -> None:
    """Serve until SIGTERM; NODE_NAME, MODEL_NAME, SEED, LATENCY_MS and PORT come from the environment."""
    env = os.environ
    provider = Provider(
        node=env.get("NODE_NAME", "llm"),
        model=env.get("MODEL_NAME", "sample"),
        seed=int(env.get("SEED", "0")),
        latency=float(env.get("LATENCY_MS", "20")) / 1000,
    )
    addresses = list(filter(None, env.get("LISTEN", "").split(","))) or listen_addresses(socket.gethostname())
    web.run_app(
        provider.app(),
        host=addresses,
        port=int(env.get("PORT", "8080")),
        access_log=None,
        shutdown_timeout=5,
        print=None,
    )


if __name__ == "__main__":
    main()
