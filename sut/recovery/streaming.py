"""A receiver of the primary's WAL on the repository's host, for an RPO below the age of a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blackstart.platforms.waiting import wait_until
from sut.recovery import backups
from sut.recovery.backups import BackupError
from sut.recovery.settings import REPOSITORY

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: While it is there, the host receives (sut/recovery/repository/receive-wal.sh).
_SWITCH = "/run/backup/receive"
_RECEIVING = (
    "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'receive-wal' AND state = 'streaming'"
)


def start(running: RunningStack) -> None:
    """Have WAL received as it is written; returns once it is. Raises BackupError."""
    _switch(running, "touch")
    _await(running, True)


def stop(running: RunningStack) -> None:
    """Have nothing received any more; what was received stays. Raises BackupError."""
    _switch(running, "rm", "-f")
    _await(running, False)


def _switch(running: RunningStack, *command: str) -> None:
    done = running.exec(REPOSITORY, [*command, _SWITCH])
    if done.code != 0:
        raise BackupError(f"{REPOSITORY}: {_SWITCH}: {done.output.strip()}")


def _await(running: RunningStack, wanted: bool) -> None:
    def other() -> str | None:
        count = backups.ask(running, _RECEIVING)
        return None if (count != "0") is wanted else f"{count} receivers"

    what = "WAL that is received" if wanted else "the end of the receiver"
    wait_until(what, other, limit="30s", every=0.5, error=BackupError)
