"""A search tool over HTTP that can be told to misbehave.

GET /search?q=…      {"results": [{"title", "snippet"}]}
GET /health/live     the process answers
GET /admin/requests  how many searches came since the start or the last reset
PUT /admin/fault     {"fault": one of FAULTS, "expires_s": seconds}: searches are answered that way
POST /admin/reset    no fault, no count
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from urllib.parse import parse_qs, urlsplit

from .catalogue import search
from .spans import span

SLOW_S = 5.0
#: What a search is answered while a fault is in force: status, body.
FAULTS: dict[str, tuple[int, bytes]] = {
    "error": (500, b'{"error": "internal"}'),
    "garbage": (200, b"<html><body>It works!</body></html>"),
    "shape": (200, b'{"results": [{"title": 7}, "snippet"]}'),
    "large": (200, json.dumps({"results": [], "padding": "x" * (1 << 20)}).encode()),
    "slow": (200, b'{"results": []}'),
}


@dataclass
class Behaviour:
    """The fault in force, until `ends` on the monotonic clock, and the searches counted; by `node`."""

    node: str = "tool"
    fault: str = ""
    ends: float = 0.0
    searches: int = 0

    def now(self) -> str:
        """The fault in force, or nothing."""
        return self.fault if time.monotonic() < self.ends else ""


class Server(ThreadingHTTPServer):
    """Answers every connection in a thread of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], behaviour: Behaviour) -> None:
        super().__init__(address, Handler)
        self.behaviour = behaviour

    def server_bind(self) -> None:
        """As for any TCP server: HTTPServer would look its own name up, and wait for a DNS that is broken."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "tool", self.server_address[1]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    # Head and body are two writes: the second would wait for the first one's acknowledgement.
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """A search, or a question about this server."""
        url = urlsplit(self.path)
        if url.path == "/search":
            self._search(parse_qs(url.query).get("q", [""])[0])
        elif url.path == "/health/live":
            self._json({"live": True})
        elif url.path == "/admin/requests":
            self._json({"searches": self.server.behaviour.searches})
        else:
            self._json({"error": "not found"}, 404)

    def do_PUT(self) -> None:
        """Bring a fault into force."""
        try:
            told = json.loads(self._body())
            fault, seconds = str(told["fault"]), float(told.get("expires_s", 60))
        except (ValueError, TypeError, LookupError):
            fault, seconds = "", 0.0
        if self.path != "/admin/fault" or fault not in FAULTS:
            self._json({"error": f"valid: PUT /admin/fault with a fault of {', '.join(FAULTS)}"}, 400)
            return
        behaviour = self.server.behaviour
        behaviour.fault, behaviour.ends = fault, time.monotonic() + seconds
        self._json({"fault": fault})

    def do_POST(self) -> None:
        """Forget fault and count."""
        self._body()
        if self.path != "/admin/reset":
            self._json({"error": "not found"}, 404)
            return
        behaviour = self.server.behaviour
        behaviour.fault, behaviour.ends, behaviour.searches = "", 0.0, 0
        self._json({"reset": True})

    def log_message(self, format: str, *args: object) -> None:
        """No line for each request."""

    def _search(self, question: str) -> None:
        behaviour = self.server.behaviour
        behaviour.searches += 1
        fault = behaviour.now()
        with span("GET /search", behaviour.node, self.headers.get("traceparent", "")) as told:
            if not fault:
                self._json({"results": search(question)})
                return
            told["fault"] = fault
            if fault == "slow":
                time.sleep(SLOW_S)
            self._send(*FAULTS[fault])

    def _body(self) -> bytes:
        return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 1 << 16))

    def _json(self, body: dict[str, object], status: int = 200) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:  # the caller gave up
            self.close_connection = True


def listen_addresses(hostname: str) -> list[str]:
    """The pod's own IPv4 addresses and loopback; the wildcard would collide with the sidecar's listeners."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(hostname, None, socket.AF_INET)}
    except socket.gaierror:
        found = set()
    return [*sorted(address for address in found if not address.startswith("127.")), "127.0.0.1"]


def main() -> None:
    """Serve until a signal; NODE_NAME and PORT come from the environment."""
    behaviour, port = Behaviour(os.environ.get("NODE_NAME", "tool")), int(os.environ.get("PORT", "8080"))
    servers = [Server((address, port), behaviour) for address in listen_addresses(socket.gethostname())]
    for server in servers[:-1]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[-1].serve_forever()


if __name__ == "__main__":
    main()
