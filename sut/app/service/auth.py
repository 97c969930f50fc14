"""Bearer tokens: HS256, with `sub` and `exp` required."""

from __future__ import annotations

import jwt

from .errors import Refusal


def subject(authorization: str | None, secret: str) -> str:
    """The `sub` of a valid bearer token; raises Refusal 401 for anything else."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refusal(401, "a bearer token is required")
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["sub", "exp"]})
    except jwt.ExpiredSignatureError:
        raise Refusal(401, "the token has expired") from None
    except jwt.InvalidTokenError:
        raise Refusal(401, "the token is not valid") from None
    return str(claims["sub"])
