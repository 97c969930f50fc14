"""What all of it shares: places, the error that ends a program, and the wait with a limit."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DATA = Path(os.environ.get("PGDATA", "/var/lib/postgresql/17/main"))
#: Accounts of what was restored here, and the log of the Postgres that recovered.
RUN = Path(os.environ.get("RESTORE_RUN", "/run/restore"))
#: Files that take a protection away, for negative controls.
FLAGS = Path(os.environ.get("FLAGS", "/var/lib/postgresql"))
STANZA = "main"
PUSH = "/usr/local/bin/pgbackrest-push.sh %p"
FETCH = "/usr/local/bin/pgbackrest-fetch.sh %f %p"


class Failed(Exception):
    """What was asked for is not so; the message is one line that says what happened, and what to do."""


def until(
    what: str,
    check: Callable[[], str | None],
    limit_s: float,
    every_s: float = 0.2,
    progress: Callable[[], object] | None = None,
) -> float:
    """Wait until `check` returns None rather than what is still wrong; returns the seconds. Raises Failed.

    With `progress` the limit begins anew as long as that tells something else each time it has passed.
    """
    began = since = time.monotonic()
    before: object = None
    while (wrong := check()) is not None:
        if time.monotonic() - since > limit_s:
            now = progress() if progress else None
            if now == before:
                raise Failed(f"{what}: not within {limit_s:g} s; last seen: {wrong}")
            before, since = now, time.monotonic()
        time.sleep(every_s)
    return time.monotonic() - began


def say(text: str) -> None:
    """Tell at once how far it is."""
    print(text, flush=True)


def place(path: Path, text: str) -> None:
    """Replace a file: whoever reads meets the old text or the new."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


@contextmanager
def alone(folder: Path, limit_s: float = 120.0) -> Iterator[None]:
    """None but this program handles the side cluster here: the schedule's verification ends by dropping it.

    The lock is in `folder`. Raises Failed.
    """
    with (folder / "lock").open("w") as lock:

        def taken() -> str | None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return "another restore or verification is under way"
            return None

        until("the side cluster's turn", taken, limit_s)
        yield


def flagged(name: str) -> bool:
    """Whether a negative control has taken this protection away."""
    return (FLAGS / name).exists()
