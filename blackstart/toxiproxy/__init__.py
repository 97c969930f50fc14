"""The Toxiproxy client, safe to use with many servers at once."""

from __future__ import annotations

from blackstart.toxiproxy.client import EdgeProxy, ToxiproxyClient

__all__ = ["EdgeProxy", "ToxiproxyClient"]
