"""Rotating the sample's secrets and certificates while it runs, as an orchestrator replaces mounted files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from blackstart.model.errors import PlatformError
from blackstart.platforms.waiting import wait_until
from sut import certificates
from sut.app.service.peers import shown
from sut.conditions import ask_postgres, connect_redis
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


#: Where a server has its key and certificate, in one file: they are replaced together, or not at all.
_PEM = "/run/tls/tls.pem"
_ADMIN = "socat -t 3 stdio unix-connect:/run/haproxy/admin.sock"
# A payload of HAProxy's command line ends with an empty line.
_COMMIT = f"""{{ echo "set ssl cert {_PEM} <<"; cat {_PEM}; echo; }} | {_ADMIN}
echo "commit ssl cert {_PEM}" | {_ADMIN}"""


def certificate(running: RunningStack, instance: str, valid: timedelta = certificates.VALID) -> None:
    """Give a front, a Postgres or a Redis a new certificate of the run's authority, without a restart.

    Open connections stay, new ones meet it by the time that this returns. Raises PlatformError.
    """
    service = running.stack.instance(instance).service
    if service not in _TELL:
        raise PlatformError(f"{instance} has no certificate; those that have: {', '.join(_TELL)}")
    from sut.authority import der

    pem = certificates.issue(certificates.authority_of(running.run_id), instance, valid)
    result = running.exec(instance, ["sh", "-c", _REPLACE, _PEM, pem])
    if result.code != 0:
        raise PlatformError(f"{instance}: the certificate is not replaced: {result.output.strip()}")
    tell, port = _TELL[service]
    tell(running, instance)
    host, number = running.address(instance, port)
    wanted = der(pem)

    def old() -> str | None:
        try:
            same = shown(host, number, postgres=service == "postgres") == wanted
        except OSError as error:
            return str(error)
        return None if same else "it still shows another one"

    wait_until(f"{instance} with its new certificate", old, limit="10s", every=0.1, error=PlatformError)


def expire_certificate(running: RunningStack, instance: str, ago: timedelta = timedelta(hours=1)) -> None:
    """Give it one that has expired; `certificate` puts that right. As there."""
    certificate(running, instance, -ago)


def _tell_haproxy(running: RunningStack, instance: str) -> None:
    result = running.exec(instance, ["sh", "-c", _COMMIT])
    if result.code != 0 or "Success!" not in result.output:
        raise PlatformError(f"{instance}: HAProxy takes no certificate: {result.output.strip()}")


def _tell_postgres(running: RunningStack, instance: str) -> None:
    ask_postgres(running, instance, "SELECT pg_reload_conf()")


def _tell_redis(running: RunningStack, instance: str) -> None:
    # Redis reads the files anew though their names are the old ones.
    with connect_redis(running, instance, "redis") as client:
        client.config_set("tls-cert-file", _PEM, "tls-key-file", _PEM)


#: By service: how its servers are told that the file has changed, and the port where it is seen.
_TELL: Mapping[str, tuple[Callable[[RunningStack, str], None], str]] = {
    "front": (_tell_haproxy, "https"),
    "postgres": (_tell_postgres, "postgres"),
    "redis": (_tell_redis, "tls"),
}
