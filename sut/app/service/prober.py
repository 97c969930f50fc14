"""Looks at the certificates of the servers as their clients would, and tells Prometheus when they expire.

`python -m service.prober`, with ENDPOINTS as "front-1:8443 redis-1:6380 postgres://pg-1:5432".
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from .peers import shown

EVERY = 5.0  # seconds between looks
PORT = 8000


@dataclass(frozen=True)
class Endpoint:
    """A server that speaks TLS; `postgres`: after it was asked for it."""

    host: str
    port: int
    postgres: bool = False

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Of "host:port", or "postgres://host:port"; raises ValueError."""
        place = text.removeprefix("postgres://")
        host, _, port = place.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"ENDPOINTS: {text!r} is not host:port")
        return cls(host, int(port), place != text)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Prober:
    """What was last seen stays: a server that is away has the certificate that it had."""

    def __init__(
        self, endpoints: tuple[Endpoint, ...], look: Callable[[Endpoint], bytes], registry: CollectorRegistry
    ) -> None:
        self._endpoints = endpoints
        self._look = look
        self._expires = Gauge(
            "certificate_expires_timestamp_seconds",
            "When the certificate that a server shows expires.",
            ["endpoint"],
            registry=registry,
        )
        self._failures = Counter(
            "certificate_looks_failed", "Looks that saw no certificate.", ["endpoint"], registry=registry
        )

    def look(self) -> None:
        """Look at each once."""
        for endpoint in self._endpoints:
            try:
                certificate = x509.load_der_x509_certificate(self._look(endpoint))
            except (OSError, ValueError):
                self._failures.labels(str(endpoint)).inc()
                continue
            self._expires.labels(str(endpoint)).set(certificate.not_valid_after_utc.timestamp())


def main() -> None:
    """Look and tell until SIGTERM."""
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    registry = CollectorRegistry()
    endpoints = tuple(map(Endpoint.parse, os.environ["ENDPOINTS"].split()))
    prober = Prober(endpoints, lambda e: shown(e.host, e.port, postgres=e.postgres), registry)
    # The pod's own address: the wildcard would collide with the sidecar's listeners.
    start_http_server(PORT, socket.gethostbyname(socket.gethostname()), registry)
    prober.look()
    while not end.wait(EVERY):
        prober.look()


if __name__ == "__main__":
    main()
