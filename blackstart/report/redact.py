"""Keep secrets out of what people read: known ones in the forms they travel in, others by their look."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "[redacted]"

#: Below this many characters a secret is masked only as a whole word, or a password "app" would mask "apply".
_SHORT = 8

_PATTERNS = (
    # user:password@ in a URL; the user stays, it helps to understand the log line.
    (re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)", re.I), rf"\g<keep>{MASK}"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"), MASK),
    (re.compile(r"(?P<keep>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.I), rf"\g<keep>{MASK}"),
    (re.compile(r"\bsk-[\w-]{12,}"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), MASK),
    # password=…, "api_key": "…", JWT_SECRET: …
    (
        re.compile(
            r"(?P<keep>(?:password|passwd|passphrase|pgpass|secret(?:[_-]?key)?|api[_-]?key|access[_-]?key|auth[_-]?token)"
            r"[\"']?\s*[=:]\s*)(?P<q>[\"']?)(?!\[redacted\])[^\s\"',;&}]+(?P=q)",
            re.I,
        ),
        rf"\g<keep>{MASK}",
    ),
)
_SECRET_KEY = re.compile(
    r"(?:^|[_.-])(?:password|passwd|passphrase|secret|api_?key|private_?key|access_?key|auth_?token)s?$", re.I
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with every secret replaced by `[redacted]`.

    Masked are each of `secrets`, plain, URL-, JSON-, HTML- and base64-encoded (shorter than 8 characters:
    only as a whole word), and, whatever `secrets` holds: passwords in URLs, JSON Web Tokens, bearer and
    basic credentials, `sk-…` keys, private keys, values assigned to names such as `password` or `api_key`.
    """
    if (exact := _exact(tuple(secrets))) is not None:
        text = exact.sub(MASK, text)
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return text


def redact_page(page: str, secrets: Iterable[str]) -> str:
    """A finished page once more: long secrets only, since patterns and short words would hit its markup."""
    exact = _exact(tuple(s for s in secrets if len(s.strip()) >= _SHORT))
    return page if exact is None else exact.sub(MASK, page)


def redact_deep(data: Any, secrets: Iterable[str] = ()) -> Any:
    """`data` (JSON-like) with all strings redacted, keys too; text under a secret's name is masked whole."""
    known = tuple(secrets)
    if isinstance(data, str):
        return redact(data, known)
    if isinstance(data, dict):
        return {
            (redact(k, known) if isinstance(k, str) else k): (
                MASK if _is_secret(k, v) else redact_deep(v, known)
            )
            for k, v in data.items()
        }
    if isinstance(data, list | tuple):
        return [redact_deep(v, known) for v in data]
    return data


def _is_secret(key: Any, value: Any) -> bool:
    return isinstance(key, str) and bool(value) and isinstance(value, str) and bool(_SECRET_KEY.search(key))


@lru_cache(maxsize=16)
def _exact(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    forms: dict[str, bool] = {}
    for secret in filter(None, (s.strip() for s in secrets)):
        word = len(secret) < _SHORT
        raw = secret.encode()
        for form in (
            secret,
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            html.escape(secret),
            base64.b64encode(raw).decode().rstrip("="),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
        ):
            forms.setdefault(form, word)
    if not forms:
        return None
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile(
        "|".join(rf"(?<!\w){re.escape(f)}(?!\w)" if forms[f] else re.escape(f) for f in longest_first)
    )
