"""Bearer tokens for the sample service, made on the host that knows its secret."""

from __future__ import annotations

import time

import jwt


def mint(secret: str, sub: str, ttl_s: float) -> str:
    """A token for `sub` that is valid for `ttl_s` seconds from now."""
    now = time.time()
    return jwt.encode({"sub": sub, "iat": int(now), "exp": int(now + ttl_s)}, secret, algorithm="HS256")
