"""A chat service to put under load: `python -m tests.load.server PORT FILE`.

Turns are kept in FILE, one JSON line each, so that a killed server comes back with them. `POST /mode` sets
how it misbehaves: {"mode": "ok" | "error" | "not-applied" | "stall" | "drop" | "reject" | "silent-error"}.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from aiohttp import web


class Service:
    """Sessions, their turns and a mode."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turns: dict[str, list[str]] = defaultdict(list)
        self._mode = "ok"
        self._busy: set[str] = set()
        self._prompts: list[str] = []
        self._overlaps = 0
        if file.exists():
            for line in file.read_text().splitlines():
                session, ident = json.loads(line)
                self._turns[session].append(ident)

    async def chat(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        session, ident = body["session"], request.headers["Idempotency-Key"]
        self._prompts.append(body["message"])
        if self._mode == "reject":
            return web.json_response({}, status=422)
        if self._mode == "not-applied":
            return web.json_response({}, status=503, headers={"X-Not-Applied": "true"})
        if self._mode == "error":
            return web.json_response({}, status=500)
        if self._mode == "stall":
            await asyncio.Event().wait()
        self._overlaps += session in self._busy
        self._busy.add(session)
        await asyncio.sleep(0)
        self._busy.discard(session)
        self._turns[session].append(ident)
        with self._file.open("a") as file:
            file.write(json.dumps([session, ident]) + "\n")
        if self._mode == "drop":
            assert request.transport is not None
            request.transport.abort()
        if self._mode == "silent-error":
            return web.json_response({"id": "another"})
        return web.json_response({"id": ident, "degraded": [], "replica": "app-1", "answer": "yes"})

    async def session(self, request: web.Request) -> web.Response:
        session = request.match_info["session"]
        if session not in self._turns:
            return web.json_response({}, status=404)
        return web.json_response({"session": session, "ids": self._turns[session]})

    async def mode(self, request: web.Request) -> web.Response:
        self._mode = (await request.json())["mode"]
        return web.json_response({})

    async def facts(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"prompts": len(self._prompts), "distinct": len(set(self._prompts)), "overlaps": self._overlaps}
        )


def main() -> None:
    service = Service(Path(sys.argv[2]))
    app = web.Application()
    app.router.add_post("/chat", service.chat)
    app.router.add_get("/session/{session}", service.session)
    app.router.add_post("/mode", service.mode)
    app.router.add_get("/facts", service.facts)
    web.run_app(
        app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, keepalive_timeout=75
    )


if __name__ == "__main__":
    main()
