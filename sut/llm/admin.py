"""The provider's admin side: scripts by token, and what was asked. `docs/llm-faults.md` describes it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .calls import Log
from .script import Book, Script
from .wire.base import REGISTRY


class Admin:
    """The routes below /admin."""

    def __init__(self, node: str, book: Book, log: Log) -> None:
        self._node, self._book, self._log = node, book, log

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [
            web.get("/admin/requests", self.requests),
            web.post("/admin/reset", self.reset),
            web.get("/admin/script", self.scripts),
            web.put("/admin/script/{token}", self.put),
            web.delete("/admin/script/{token}", self.delete),
        ]

    async def requests(self, request: web.Request) -> web.Response:
        """GET /admin/requests: calls since the start or the last reset, counted, and the last of them."""
        struck = sum(map(sum, self._book.struck.values()))
        told = {"node": self._node, **self._log.to_dict(), "struck": struck, "by_rule": self._book.struck}
        return web.json_response(told)

    async def reset(self, request: web.Request) -> web.Response:
        """POST /admin/reset: no script, no counts, an empty log."""
        self._book.clear()
        self._log.clear()
        return web.json_response({"reset": True})

    async def scripts(self, request: web.Request) -> web.Response:
        """GET /admin/script: the scripts in force by token, and the faults that a rule can name."""
        now = asyncio.get_running_loop().time()
        scripts = {token: script.to_dict(now) for token, script in self._book.scripts.items()}
        return web.json_response({"scripts": scripts, "faults": sorted(REGISTRY)})

    async def put(self, request: web.Request) -> web.Response:
        """PUT /admin/script/<token>: bring a script into force, in place of an earlier one of the token."""
        self._book.put(request.match_info["token"], Script.parse(await request.json()))
        return await self.scripts(request)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /admin/script/<token>: take it back, if it is there."""
        self._book.remove(request.match_info["token"])
        return await self.scripts(request)
