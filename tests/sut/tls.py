"""A server that speaks TLS with a certificate that a test gives it."""

from __future__ import annotations

import ssl
from pathlib import Path


def server_context(pem: str, folder: Path) -> ssl.SSLContext:
    """Key and certificate from one file, as the sample's servers have them."""
    file = folder / "tls.pem"
    file.write_text(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
