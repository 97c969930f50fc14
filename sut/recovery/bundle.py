"""The run's secrets, sealed, on the repository's host: with the code and the key, what a black start needs.

The key stays outside, with the key of the run's authority, in the folder of the run's state on this host: in
real life both are in a safe. Sealed are variables by instance, as `blackstart provision --env` takes them.

    python -m sut.recovery.bundle seal RUN           reads the secrets of now, and leaves the bundle on repo-1
    python -m sut.recovery.bundle open RUN < BUNDLE  prints the variables
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blackstart.injection.state import state_dir
from blackstart.model.errors import BlackstartError, HarnessError, PlatformError
from sut.recovery.settings import REPOSITORY, REPOSITORY_PATH
from sut.settings import APP_PASSWORD, APPS, POSTGRES, SECRETS_DIR, WORKERS

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: Where it lies: on the disk of the backups.
PLACE = f"{REPOSITORY_PATH}/secrets.sealed"
# $1 is the content.
_PUT = f'umask 077 && printf %s "$1" > {PLACE}.new && mv {PLACE}.new {PLACE}'


class BundleError(HarnessError):
    """A bundle cannot be opened: there is no key, it is another, or the bundle was changed."""


def seal(running: RunningStack, content_keys: Sequence[str] = ()) -> None:
    """Seal the secrets that are in force now, and leave them on the repository's host; idempotent.

    `content_keys` stand in for those in force: a control seals keys that are out of date. Raises
    PlatformError.
    """
    from cryptography.fernet import Fernet

    keys = "\n".join(content_keys) or _secret(running, "content-keys")
    variables = _variables(
        running,
        password=_secret(running, "database-password"),
        token_keys=_secret(running, "jwt-keys"),
        content_keys=keys,
    )
    sealed = Fernet(_key(running.run_id, make=True)).encrypt(json.dumps(variables).encode()).decode()
    done = running.exec(REPOSITORY, ["sh", "-c", _PUT, "sh", sealed])
    if done.code != 0:
        raise PlatformError(f"{REPOSITORY}: the bundle is not kept: {done.output.strip()}")


def unseal(run_id: str, sealed: str) -> dict[str, dict[str, str]]:
    """The variables by instance. Raises BundleError."""
    from cryptography.fernet import Fernet, InvalidToken

    try:
        told: dict[str, dict[str, str]] = json.loads(Fernet(_key(run_id)).decrypt(sealed.strip().encode()))
    except InvalidToken:
        raise BundleError(
            "the bundle cannot be opened: it was sealed by another key, or changed since"
        ) from None
    return told


def _variables(
    running: RunningStack, password: str, token_keys: str, content_keys: str
) -> Mapping[str, Mapping[str, str]]:
    """Those of each instance that has secrets, with the ones that are in force in place of the declared."""
    found: dict[str, dict[str, str]] = {name: {"APP_PASSWORD": password} for name in POSTGRES}
    for name in (*APPS, *WORKERS):
        declared = running.stack.instance(name).env
        urls = ("DATABASE_URL", "RETRIEVAL_URL")
        found[name] = {
            "CONTENT_KEYS": content_keys,
            "JWT_SECRET": token_keys,
            **{url: declared[url].replace(f":{APP_PASSWORD}@", f":{password}@") for url in urls},
        }
    return found


def _secret(running: RunningStack, name: str) -> str:
    """What is in force at the first app replica: all have the same. Raises PlatformError."""
    told = running.exec(APPS[0], ["cat", f"{SECRETS_DIR}/{name}"])
    if told.code != 0:
        raise PlatformError(f"{APPS[0]}: {name} cannot be read")
    return told.output.strip()


def _key(run_id: str, *, make: bool = False) -> bytes:
    """The run's key; with `make` it is made where there is none yet. Raises BundleError."""
    from cryptography.fernet import Fernet

    path: Path = state_dir(run_id, create=make) / "bundle.key"
    if not path.exists():
        if not make:
            raise BundleError(
                f"the bundle cannot be opened: there is no key of run {run_id}; put it to {path}"
            )
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(Fernet.generate_key())
        new.replace(path)
    return path.read_bytes()


def main(words: Sequence[str]) -> int:
    """The command line; its exit status."""
    if len(words) != 2 or words[0] not in ("seal", "open"):
        print("usage: python -m sut.recovery.bundle seal|open RUN", file=sys.stderr)
        return 64
    try:
        if words[0] == "open":
            print(json.dumps(unseal(words[1], sys.stdin.read())))
        else:
            from sut.recovery.rotate import found

            seal(found(words[1]))
            print(f"sealed: {PLACE} on {REPOSITORY}")
    except BlackstartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
