"""A model provider on OpenAI's wire protocol; scripts make its answers faulty."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web

from .admin import Admin
from .answers import DEFAULT_DIMENSIONS, PIECE, Answer, Chat, Failure, Listing, Vectors, say, text_of
from .calls import PATHS, Call, Log
from .script import Book, Chosen
from .spans import span
from .wire.base import Wire

#: A call with this header meets the script that it names, or none, and is neither counted nor kept.
PROBE = "X-Blackstart-Probe"


@dataclass
class Provider:
    """`latency` seconds pass before an answer, `per_token` more between the pieces of a stream.

    A call of the model `cheap` is answered in its name, as of this node; any other in that of `model`.
    """

    node: str = "llm"
    model: str = "sample"
    cheap: str = ""
    seed: int = 0
    latency: float = 0.02
    per_token: float = 0.002
    book: Book = field(default_factory=Book)
    log: Log = field(default_factory=Log)

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[_errors])
        app.add_routes(
            [
                web.post(PATHS["chat"], partial(self._call, "chat", self.chat)),
                web.post(PATHS["embeddings"], partial(self._call, "embeddings", self.embeddings)),
                web.get(PATHS["models"], partial(self._call, "models", self.models)),
                web.get("/health/live", self.live),
                *Admin(self.node, self.book, self.log).routes(),
            ]
        )
        return app

    async def live(self, request: web.Request) -> web.Response:
        """GET /health/live."""
        return web.json_response({"live": True, "node": self.node, "model": self.model})

    def chat(self, call: Call) -> Answer:
        """POST /v1/chat/completions, whole or streamed."""
        messages = call.body.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            raise ValueError("messages must be a non-empty list of objects")
        options = call.body.get("stream_options") or {}
        model = f"{self.cheap}-{self.node}" if self.cheap and call.model == self.cheap else self.model
        return Chat(
            model=model,
            streamed=call.streamed,
            id=f"chatcmpl-{self.node}-{self.log.counts.total()}",
            pieces=tuple(PIECE.findall(say(model, self.seed, messages))),
            prompt_tokens=sum(len(text_of(message).split()) for message in messages),
            usage_asked=bool(options.get("include_usage")),
        )

    def embeddings(self, call: Call) -> Answer:
        """POST /v1/embeddings, as floats or base64."""
        texts = call.body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError("input must be a string or a list of strings")
        dimensions = int(call.body.get("dimensions") or DEFAULT_DIMENSIONS)
        if not 1 <= dimensions <= 4096:
            raise ValueError("dimensions must be between 1 and 4096")
        packed = call.body.get("encoding_format") == "base64"
        model = call.model or self.model
        return Vectors(model=model, texts=tuple(texts), seed=self.seed, dimensions=dimensions, packed=packed)

    def models(self, call: Call) -> Answer:
        """GET /v1/models."""
        return Listing(model=self.model, node=self.node)

    async def _call(
        self, endpoint: str, answer: Callable[[Call], Answer], request: web.Request
    ) -> web.StreamResponse:
        """Answer a model call, in the way of the fault that it meets."""
        call = await Call.read(endpoint, request)
        token = request.headers.get(PROBE)
        if token is not None:
            return await self._send(request, call, self.book.probe(token, call), answer)
        traceparent = request.headers.get("traceparent", "")
        name = f"{request.method} {PATHS[endpoint]}"
        with span(name, self.node, traceparent, model=call.model) as told, self.log.note(call) as entry:
            chosen = self.book.choose(call)
            if chosen.token is not None:
                entry.script, entry.fault = chosen.token, chosen.fault.name
                told["fault"] = chosen.fault.name
            response = await self._send(request, call, chosen, answer)
            told["status"] = response.status
            return response

    async def _send(
        self, request: web.Request, call: Call, chosen: Chosen, answer: Callable[[Call], Answer]
    ) -> web.StreamResponse:
        fault = chosen.fault
        said = fault.instead(call)
        if said is None:
            said = fault.edit(answer(call), call)
            await asyncio.sleep(self.latency if call.endpoint == "chat" else self.latency / 4)
        frames = fault.encode(said.frames(), said.streamed)
        wire = Wire(request, said, sum(map(len, frames)), chosen.over, self.per_token)
        with contextlib.suppress(ConnectionError):  # the caller left, or the fault made it leave
            await fault.send(wire, frames)
        return wire.response


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValueError as error:
        failure = Failure(message=str(error))
        return web.Response(status=400, body=failure.frames()[0], content_type="application/json")


def listen_addresses(hostname: str) -> list[str]:
    """The pod's own IPv4 addresses and loopback; the wildcard would collide with the sidecar's listeners."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(hostname, None, socket.AF_INET)}
    except socket.gaierror:
        found = set()
    own = sorted(address for address in found if not address.startswith("127."))
    return [*own, "127.0.0.1"]


def main() -> None:
    """Serve until SIGTERM.

    NODE_NAME, MODEL_NAME, CHEAP_MODEL, SEED, LATENCY_MS and PORT come from the environment.
    """
    env = os.environ
    provider = Provider(
        node=env.get("NODE_NAME", "llm"),
        model=env.get("MODEL_NAME", "sample"),
        cheap=env.get("CHEAP_MODEL", ""),
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
        handler_cancellation=True,  # a call whose caller gave up is over, however long it was to hang
        print=None,
    )


if __name__ == "__main__":
    main()
