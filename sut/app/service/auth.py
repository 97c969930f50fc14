"""Bearer tokens: HS256 by the key that `kid` names, with `sub` and `exp` required."""

from __future__ import annotations

from collections.abc import Mapping

import jwt

from .errors import Refusal

LONGEST = 4096


def subject(authorization: str | None, keys: Mapping[str, str]) -> str:
    """The `sub` of a valid bearer token; raises Refusal 401 for anything else.

    `kid` is looked up among `keys` and nowhere else; the algorithm is ours to name, not the token's.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refusal(401, "a bearer token is required")
    try:
        if len(token) > LONGEST:
            raise jwt.InvalidTokenError
        key = keys.get(jwt.get_unverified_header(token).get("kid", ""))
        if key is None:
            raise jwt.InvalidKeyError
        claims = jwt.decode(token, key, algorithms=["HS256"], options={"require": ["sub", "exp"]})
    except jwt.ExpiredSignatureError:
        raise Refusal(401, "the token has expired") from None
    except (jwt.PyJWTError, UnicodeError):
        raise Refusal(401, "the token is not valid") from None
    if not claims["sub"]:
        raise Refusal(401, "the token is not valid")
    return str(claims["sub"])
