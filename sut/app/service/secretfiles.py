"""Secrets in files, as an orchestrator mounts them: one a file, read again when it has changed.

`jwt-keys` is a JSON object of secrets by key id, `content-keys` holds one Fernet key a line, and
`database-password` a password. Replace a file as a whole (write another, rename it): then no reader ever
meets half of one.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from cryptography.fernet import MultiFernet

from .content import keys

log = logging.getLogger(__name__)
T = TypeVar("T")
#: The id of the key that a process is given by its environment.
FIRST_KID = "k1"
JWT_KEYS, CONTENT_KEYS, DATABASE_PASSWORD = "jwt-keys", "content-keys", "database-password"
#: No secret, but replaced in the same way; libpq and redis-py read it at each connection.
TLS_CA = "tls-ca"
#: An HMAC key must be as long as its hash (RFC 7518, 3.2).
SHORTEST = 32


class SecretFile(Generic[T]):
    """What a file holds, parsed. While it is missing or makes no sense, its last good content is in force."""

    def __init__(self, path: Path, parse: Callable[[str], T], initial: T, *, reload: bool = True) -> None:
        self._path = path
        self._parse = parse
        self._value = initial
        self._reload = reload
        self._stamp: tuple[int, ...] | None = None

    def get(self) -> T:
        """The content now: one `stat` where nothing has changed."""
        if self._stamp is not None and not self._reload:
            return self._value
        stamp: tuple[int, ...] = ()
        with suppress(OSError):
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if stamp != self._stamp:
            first, self._stamp = self._stamp is None, stamp
            self._read(first)
        return self._value

    def _read(self, first: bool) -> None:
        try:
            self._value = self._parse(self._path.read_text())
        except (OSError, ValueError) as error:
            # Never the error's words: they may hold what the file does.
            log.error("secret unusable", extra={"file": self._path.name, "error": type(error).__name__})
            return
        if not first:
            log.warning("secret changed", extra={"file": self._path.name})


class Secrets:
    """The secrets of one process. Without a folder they are those that it was given, for its life."""

    def __init__(
        self, folder: str = "", *, jwt_secret: str = "", content_keys: str = "", reload: bool = True
    ) -> None:
        given: Mapping[str, str] = token_keys(jwt_secret) if jwt_secret else {}
        self.jwt_keys: Callable[[], Mapping[str, str]] = lambda: given
        box = keys(content_keys) if content_keys else None
        self.content_keys: Callable[[], MultiFernet | None] = lambda: box
        self.database_password: Callable[[], str | None] = lambda: None
        if folder:
            place = Path(folder)
            self.jwt_keys = SecretFile(place / JWT_KEYS, _jwt_keys, given, reload=reload).get
            self.content_keys = SecretFile(place / CONTENT_KEYS, keys, box, reload=reload).get
            password = SecretFile[str | None](place / DATABASE_PASSWORD, _line, None, reload=reload)
            self.database_password = password.get

    def words(self) -> tuple[str, ...]:
        """The secrets that a library's message could repeat."""
        return (*self.jwt_keys().values(), self.database_password() or "")


def plant(folder: Path, secrets: Mapping[str, str]) -> None:
    """Write those that are not there yet, for this user alone: a restarted process keeps what was rotated."""
    for name, text in secrets.items():
        try:
            made = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(made, "w") as file:
            file.write(text)


def token_keys(text: str) -> Mapping[str, str]:
    """The keys of an environment: one secret, or what the file `jwt-keys` may hold. Raises ValueError."""
    return _jwt_keys(text) if text.startswith("{") else _long_enough({FIRST_KID: text})


def _jwt_keys(text: str) -> Mapping[str, str]:
    return _long_enough(json.loads(text))


def _long_enough(found: Any) -> Mapping[str, str]:
    if not isinstance(found, dict) or not found:
        raise ValueError("not an object of secrets by key id")
    if any(not isinstance(secret, str) or len(secret.encode()) < SHORTEST for secret in found.values()):
        raise ValueError(f"a key is shorter than {SHORTEST} bytes")
    return found


def _line(text: str) -> str:
    if not (line := text.strip()):
        raise ValueError("empty")
    return line
