"""Rotating the sample's secrets and certificates while it runs, as an orchestrator replaces mounted files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from blackstart.model.errors import PlatformError
from blackstart.platforms.waiting import wait_until
from sut import certificates
from sut.app.service.peers import shown
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
    roles = running.role_map("postgres")
    primary = next((name for name, role in roles.items() if role == "primary"), None)
    if primary is None:
        raise PlatformError(f"no Postgres is primary now, so the password stays; roles: {roles or 'none'}")
    quoted = password.replace("'", "''")
    ask_postgres(running, primary, f"ALTER ROLE app PASSWORD '{quoted}'")
    rotate(running, "database-password", password, instances)


#: Where a server has its key and certificate, in one file: they are replaced together, or not at all.
PEM = "/run/tls/tls.pem"
#: Where one lies ready that is not in force.
NEXT_PEM = "/run/tls/next.pem"
#: What has a server show what is in its file now: a program of its image.
USE = "use-certificate.sh"
# $0 is the file, $1 its content; it belongs to whom the file $2 does.
_PLACE = 'umask 077 && printf %s "$1" > "$0" && chown --reference="$2" "$0"'


def certificate(running: RunningStack, instance: str, valid: timedelta = certificates.VALID) -> None:
    """Give a front, a Postgres or a Redis a new certificate of the run's authority, without a restart.

    Open connections stay, new ones meet it by the time that this returns. Raises PlatformError.
    """
    _refuse_without_certificate(running, instance)
    from sut.authority import der

    pem = certificates.issue(certificates.authority_of(running.run_id), instance, valid)
    _run(running, instance, "the certificate is not replaced", "sh", "-c", _REPLACE, PEM, pem)
    _run(running, instance, "it does not take the certificate", USE)
    wanted = der(pem)

    def old() -> str | None:
        try:
            same = seen(running, instance) == wanted
        except OSError as error:
            return str(error)
        return None if same else "it still shows another one"

    wait_until(f"{instance} with its new certificate", old, limit="10s", every=0.1, error=PlatformError)


def expire_certificate(running: RunningStack, instance: str, ago: timedelta = timedelta(hours=1)) -> None:
    """Give it one that has expired; `certificate` puts that right. As there."""
    certificate(running, instance, -ago)


#: The keys of tokens in force, and others that lie ready.
JWT_KEYS, NEXT_JWT_KEYS = f"{SECRETS_DIR}/jwt-keys", f"{SECRETS_DIR}/jwt-keys.next"


def lay_keys_ready(running: RunningStack, keys: Mapping[str, str], instances: Iterable[str] = APPS) -> None:
    """Place other keys of tokens (by `kid`) beside those in force, as NEXT_JWT_KEYS. Raises PlatformError."""
    for instance in instances:
        words = ("sh", "-c", _PLACE, NEXT_JWT_KEYS, json.dumps(dict(keys)), JWT_KEYS)
        _run(running, instance, "the keys are not placed", *words)


def lay_ready(running: RunningStack, instance: str, valid: timedelta) -> None:
    """Place another certificate beside that of the instance, as NEXT_PEM; none is told. Raises PlatformError.

    It is valid for `valid` from now; where that is negative, it has expired so long ago.
    """
    _refuse_without_certificate(running, instance)
    pem = certificates.issue(certificates.authority_of(running.run_id), instance, valid)
    _run(running, instance, "the certificate is not placed", "sh", "-c", _PLACE, NEXT_PEM, pem, PEM)


def seen(running: RunningStack, instance: str) -> bytes:
    """The certificate that the instance shows, in DER. Raises OSError."""
    service = running.stack.instance(instance).service
    return shown(*running.address(instance, _PORTS[service]), postgres=service == "postgres")


#: By service, at which of its ports its certificate is seen.
_PORTS = {"front": "https", "postgres": "postgres", "redis": "tls"}


def _refuse_without_certificate(running: RunningStack, instance: str) -> None:
    if running.stack.instance(instance).service not in _PORTS:
        raise PlatformError(f"{instance} has no certificate; those that have: {', '.join(_PORTS)}")


def _run(running: RunningStack, instance: str, otherwise: str, *command: str) -> None:
    result = running.exec(instance, command)
    if result.code != 0:
        raise PlatformError(f"{instance}: {otherwise}: {result.output.strip()}")
