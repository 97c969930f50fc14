"""Rotating the sample's secrets while it runs, for drills: what an orchestrator does to mounted files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from blackstart.model.errors import PlatformError
from sut.conditions import ask_postgres
from sut.settings import APPS, SECRETS_DIR, WORKERS

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: Who has the secrets; a worker asks for no tokens, and has their keys all the same.
HOLDERS = (*APPS, *WORKERS)

#: $0 is the file, $1 its new content. The old file's owner and mode stay; a reader meets the old or the new.
_REPLACE = 'umask 077 && printf %s "$1" > "$0.new" && chown --reference="$0" "$0.new" && mv "$0.new" "$0"'


def rotate(running: RunningStack, name: str, text: str, instances: Iterable[str] = HOLDERS) -> None:
    """Replace the secret file `name` (`jwt-keys`, `content-keys`, `database-password`) in the instances.

    Raises PlatformError.
    """
    for instance in instances:
        result = running.exec(instance, ["sh", "-c", _REPLACE, f"{SECRETS_DIR}/{name}", text])
        if result.code != 0:
            raise PlatformError(f"{instance}: {name} is not replaced: {result.output.strip()}")


def jwt_keys(running: RunningStack, keys: Mapping[str, str], instances: Iterable[str] = HOLDERS) -> None:
    """From now on the tokens of these keys (by `kid`) are valid, and no other's."""
    rotate(running, "jwt-keys", json.dumps(dict(keys)), instances)


def content_keys(running: RunningStack, keys: Iterable[str], instances: Iterable[str] = HOLDERS) -> None:
    """From now on the first key seals, all open. A new first key must be known to all before it seals."""
    rotate(running, "content-keys", "\n".join(keys), instances)


def database_password(running: RunningStack, password: str, instances: Iterable[str] = HOLDERS) -> None:
    """Change the password of the role `app`, then tell the instances; open connections stay.

    Postgres knows one password a role: a connection opened between the two is refused, and tried again.
    """
    primary = next(n for n, role in running.role_map("postgres").items() if role == "primary")
    quoted = password.replace("'", "''")
    ask_postgres(running, primary, f"ALTER ROLE app PASSWORD '{quoted}'")
    rotate(running, "database-password", password, instances)
