"""All secrets of the running service replaced at once, and put back.

python -m sut.recovery.rotate RUN next|retire|back
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from blackstart.model.errors import BlackstartError
from sut import rotation
from sut.settings import (
    APP_PASSWORD,
    APPS,
    CONTENT_KEY,
    JWT_KID,
    JWT_SECRET,
    NEXT_APP_PASSWORD,
    NEXT_CONTENT_KEY,
    NEXT_JWT_KID,
    NEXT_JWT_SECRET,
    SECRETS_DIR,
)

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


def forward(running: RunningStack) -> str:
    """A new key of tokens and of content, the old ones still good, and a new password of the service's role.

    Done again it completes what was left half done, or what a restore has taken back; a warning is returned
    where that is all that it can do. Raises PlatformError.
    """
    before = running.exec(APPS[0], ["cat", f"{SECRETS_DIR}/jwt-keys"])
    rotation.jwt_keys(running, {JWT_KID: JWT_SECRET, NEXT_JWT_KID: NEXT_JWT_SECRET})
    content_keys(running)
    rotation.database_password(running, NEXT_APP_PASSWORD)
    if NEXT_JWT_SECRET not in before.output:
        return ""
    return (
        "these next secrets were in use before: if one of them is out, it still is; choose others (NEXT_* in "
        "sut/settings.py; of a service of yours, in its store of secrets)"
    )


def content_keys(running: RunningStack) -> None:
    """The new key of content seals, the old one still opens. Raises PlatformError."""
    # Known to all before anybody seals by it.
    rotation.content_keys(running, [CONTENT_KEY, NEXT_CONTENT_KEY])
    rotation.content_keys(running, [NEXT_CONTENT_KEY, CONTENT_KEY])


def retire(running: RunningStack) -> None:
    """The old key of tokens is taken away: who has a token by it must log in anew. Raises PlatformError."""
    rotation.jwt_keys(running, {NEXT_JWT_KID: NEXT_JWT_SECRET})


def back(running: RunningStack) -> None:
    """The secrets of before are in force; what was sealed meanwhile can be read. Raises PlatformError."""
    rotation.database_password(running, APP_PASSWORD)
    rotation.content_keys(running, [CONTENT_KEY, NEXT_CONTENT_KEY])
    rotation.jwt_keys(running, {JWT_KID: JWT_SECRET})


def main(words: Sequence[str]) -> int:
    """The command line; its exit status."""
    ways: dict[str, Callable[[RunningStack], str | None]] = {"next": forward, "retire": retire, "back": back}
    if len(words) != 2 or words[1] not in ways:
        print(f"usage: python -m sut.recovery.rotate RUN {'|'.join(ways)}", file=sys.stderr)
        return 64
    try:
        warning = ways[words[1]](found(words[0]))
    except BlackstartError as error:
        print(error, file=sys.stderr)
        return 1
    print(warning or f"the secrets of run {words[0]} are replaced")
    return 0


def found(run_id: str) -> RunningStack:
    """The stack `recovery` of another process's run. Raises PlatformError, ProvisionError."""
    from blackstart.platforms.docker import DockerPlatform
    from blackstart.platforms.engine import connect
    from blackstart.stack.running import RunningStack
    from sut.recovery.stack import stack

    return RunningStack.find(stack, run_id, DockerPlatform(connect()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
