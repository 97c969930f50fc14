"""The certificate that a server shows, trusted or not: who asks wants to see an expired one, too."""

from __future__ import annotations

import socket
import ssl
import struct

#: What a client of Postgres says before a handshake: the length, and the code of the request for TLS.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def shown(host: str, port: int, *, postgres: bool = False, timeout: float = 2.0) -> bytes:
    """The server's certificate, in DER. Raises OSError; each step has `timeout` seconds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=timeout) as plain:
        if postgres:
            plain.sendall(_SSL_REQUEST)
            if (said := plain.recv(1)) != b"S":
                raise ConnectionError(f"{host}:{port} offers no TLS: {said!r}")
        with context.wrap_socket(plain, server_hostname=host) as secure:
            found = secure.getpeercert(binary_form=True)
    if not found:
        raise ConnectionError(f"{host}:{port} shows no certificate")
    return found
