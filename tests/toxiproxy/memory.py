"""A Toxiproxy API in memory: enough for the client, on a real socket, able to refuse or to hang."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


class ToxiproxyInMemory:
    """`refuse(method, path)` may give a status to answer with instead, or 0 to hang."""

    def __init__(self, listens: Mapping[str, str]) -> None:
        self.proxies: dict[str, dict[str, Any]] = {}
        for name, listen in listens.items():
            self._add({"name": name, "listen": listen, "upstream": name.replace(":", ".net:")})
        self.refuse: Callable[[str, str], int | None] = lambda method, path: None
        self._over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                told = outer.refuse(self.command, self.path)
                if told == 0:
                    outer._over.wait(30)
                    return
                status, answer = (
                    (told, {"error": "no"}) if told else outer._answer(self.command, self.path, body)
                )
                data = b"" if status == 204 else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> ToxiproxyInMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _add(self, proxy: Mapping[str, Any]) -> None:
        self.proxies[proxy["name"]] = {"enabled": True, "toxics": [], **proxy}

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        data: Any = json.loads(body) if body else None
        parts = [unquote(p) for p in path.strip("/").split("/")]
        if parts == ["populate"]:
            for proxy in data:
                if proxy["name"] not in self.proxies:
                    self._add(proxy)
            return 201, {"proxies": data}
        if parts == ["reset"]:
            for proxy in self.proxies.values():
                proxy.update(enabled=True, toxics=[])
            return 204, None
        if parts == ["proxies"]:
            return 200, self.proxies
        found = self.proxies.get(parts[1])
        if found is None:
            return 404, {"error": "proxy not found"}
        if len(parts) == 2:
            if method == "DELETE":
                del self.proxies[parts[1]]
                return 204, None
            found.update(data or {})
            return 200, found
        toxics = found["toxics"]
        if len(parts) == 4:
            if not any(t["name"] == parts[3] for t in toxics):
                return 404, {"error": "toxic not found"}
            found["toxics"] = [t for t in toxics if t["name"] != parts[3]]
            return 204, None
        if method == "POST":
            toxics.append(data)
        return 200, data if method == "POST" else toxics
