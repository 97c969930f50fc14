"""Backups of the stack `recovery`: made, listed and restored from, as its drills need them.

Each function asks inside the containers, by the programs that a person uses there, and raises BackupError
with the last lines of what the program said.
"""

from __future__ import annotations

import shlex
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import HarnessError, PlatformError
from blackstart.platforms.waiting import wait_until
from sut.conditions import ask_postgres
from sut.recovery.accounts import Backup as Backup
from sut.recovery.accounts import BackupError as BackupError
from sut.recovery.accounts import Repository as Repository
from sut.recovery.accounts import Restored as Restored
from sut.recovery.accounts import Verification as Verification
from sut.recovery.settings import REPOSITORY, REPOSITORY_PATH, SIDE, STANZA
from sut.settings import POSTGRES, POSTGRES_DISK

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: The primary, as a selector.
PRIMARY = "postgres.primary"
#: Where a node has its cluster.
DATA = f"{POSTGRES_DISK}/main"
_LINES = 15
#: A program of the side cluster waits two minutes for its turn, and one more for the end of Postgres.
_TURN = "190s"


# -- the repository ----------------------------------------------------------------------------------


def backup(running: RunningStack, kind: str = "full", limit: Duration = "120s") -> str:
    """Take a backup now (`full`, `diff` or `incr`), after one that is under way; returns its label."""
    return _run(running, REPOSITORY, limit, "take-backup", kind).splitlines()[-1].strip()


def info(running: RunningStack) -> Repository:
    """What the repository holds, by its own account."""
    return Repository.parse(_run(running, REPOSITORY, "20s", "repository-info"))


def version(running: RunningStack) -> str:
    """What made the backups, as `pgBackRest 2.55.1`."""
    return _run(running, REPOSITORY, "10s", "pgbackrest", "version").strip()


def verify(running: RunningStack, limit: Duration = "120s") -> None:
    """Have every file of the repository read and its checksum compared; BackupError tells what is damaged."""
    _run(running, REPOSITORY, limit, "verify-repository")


def room(running: RunningStack) -> float:
    """Which share of the repository's disk is free."""
    told = _run(running, REPOSITORY, "10s", "df", "-P", REPOSITORY_PATH)
    size, _, free = (int(word) for word in told.splitlines()[-1].split()[1:4])
    return free / size


def adopt(running: RunningStack, limit: Duration = "180s") -> None:
    """Have the repository take the cluster that runs now for its own, with a full backup of it.

    For a cluster that was made anew; what was kept of the former one is expired as usual.
    """
    _run(running, REPOSITORY, limit, "adopt-cluster")


# -- the log and its archive -------------------------------------------------------------------------


def now(running: RunningStack) -> str:
    """The primary's clock, with its zone: a target of a recovery by time."""
    return _ask(running, PRIMARY, "SELECT clock_timestamp()")


def lsn(running: RunningStack) -> str:
    """The end of the log just now: recovery up to it has all that was committed before, and nothing later."""
    return _ask(running, PRIMARY, "SELECT pg_current_wal_insert_lsn()")


def restore_point(running: RunningStack, name: str) -> str:
    """Note a point in the log under a name by which it can be recovered to; returns its LSN."""
    quoted = name.replace("'", "''")
    return _ask(running, PRIMARY, f"SELECT pg_create_restore_point('{quoted}')")


def system_id(running: RunningStack) -> str:
    """What tells this cluster from every other that was ever made."""
    return _ask(running, PRIMARY, "SELECT system_identifier FROM pg_control_system()")


def await_primary(running: RunningStack, limit: Duration = "60s") -> None:
    """Wait until a Postgres says that it is primary, and answers."""

    def lacking() -> str | None:
        try:
            system_id(running)
        except HarnessError as error:
            return str(error)
        return None

    wait_until("a primary", lacking, limit=limit, every=0.5, error=BackupError)


def timeline(running: RunningStack) -> int:
    """The timeline on which the primary writes."""
    return int(_ask(running, PRIMARY, "SELECT pg_walfile_name(pg_current_wal_lsn())")[:8], 16)


def switch_wal(running: RunningStack, limit: Duration = "30s") -> str:
    """Have the primary begin a new segment; returns the name of the old one once the repository has it."""
    # Without a record since the last switch there would be nothing to switch.
    _ask(running, PRIMARY, f"SELECT pg_logical_emit_message(false, 'blackstart', '{uuid.uuid4()}')")
    # One byte back: the end of a segment that was filled to the last byte is the start of the next.
    name = _ask(running, PRIMARY, "SELECT pg_walfile_name(pg_switch_wal() - 1)")
    archived_up_to(running, name, limit)
    return name


def archived(running: RunningStack, wal: str) -> bool:
    """Whether the repository holds this segment."""
    found = ["sh", "-c", f'ls {REPOSITORY_PATH}/archive/{STANZA}/*/"${{1%????????}}"/"$1"-*', "sh", wal]
    return running.exec(REPOSITORY, found).code == 0


def archived_up_to(running: RunningStack, wal: str, limit: Duration = "30s") -> None:
    """Wait until the repository holds this segment; segments come to it in their order."""

    def missing() -> str | None:
        return None if archived(running, wal) else f"the last is {info(running).wal_max or 'none'}"

    wait_until(f"segment {wal} in the repository", missing, limit=limit, every=0.5, error=BackupError)


# -- restores ----------------------------------------------------------------------------------------


def restored(running: RunningStack, instance: str = SIDE) -> Restored:
    """What was restored last on that node."""
    return Restored.parse(_run(running, instance, "10s", "cat", "/run/restore/last.json"))


def restore_side(
    running: RunningStack,
    kind: str = "default",
    target: str = "",
    *,
    backup: str = "",
    timeline: str = "",
    limit: Duration = "5m",
) -> Restored:
    """Restore into the side cluster, as a person does by `restore-cluster`; what was there is dropped."""
    drop_side(running)
    words = ["restore-cluster", "--type", kind]
    for option, value in (("--target", target), ("--set", backup), ("--timeline", timeline)):
        words += [option, value] if value else []
    _run(running, SIDE, limit, *words)
    return restored(running)


def drop_side(running: RunningStack) -> None:
    """Drop the side cluster, if there is one; a verification that is under way is waited for."""
    _run(running, SIDE, _TURN, "drop-cluster")


def end_restores(running: RunningStack) -> None:
    """End the restores and verifications that somebody who is gone has left running, wherever they run.

    A container that cannot be asked runs none.
    """
    for name in (*POSTGRES, SIDE):
        with suppress(PlatformError):
            done = running.exec(name, ["end-restores"], timeout=30)
            if done.code != 0:
                raise BackupError(f"{name}: end-restores: {done.output.strip()}")


def rebuild(running: RunningStack, limit: Duration = "5m") -> Restored:
    """Make the cluster anew from the repository, all that it has, on the first node; the others copy it.

    For nodes that are there, and have no data. Returns once the first is primary.
    """
    first = POSTGRES[0]
    for step in ("rebuild-from-repository", "await-recovery", "await-primary"):
        _run(running, first, limit, step)
    return restored(running, first)


def ask(running: RunningStack, query: str, database: str = "postgres") -> str:
    """The rows of `query`, bare, as the primary has them."""
    return _ask(running, PRIMARY, query, database)


def ask_side(running: RunningStack, query: str, database: str = "app") -> str:
    """The rows of `query`, bare, as the side cluster has them."""
    return _ask(running, SIDE, query, database)


def table_digest(running: RunningStack, where: str, table: str) -> tuple[int, str]:
    """How many rows a table has, and a checksum of them in whatever order, as `verify-restore` has them.

    `where` is an instance or a role, as `restore-1` or `postgres.primary`.
    """
    query = f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {table} t"
    rows, digest = _ask(running, where, query, "app", timeout=30).split("|")
    return int(rows), digest


def verify_restore(running: RunningStack, limit: Duration = "5m") -> Verification:
    """Have the latest backup restored and examined now, as the schedule does.

    What is wrong with the backup is told in `errors`; BackupError if there is no account at all.
    """
    try:
        told = running.exec(SIDE, ["verify-restore"], timeout=seconds(limit))
    except PlatformError as error:
        raise BackupError(str(error)) from error
    return Verification.parse(told.output)


def last_verification(running: RunningStack) -> Verification:
    """The account of the verification that was made last, by schedule or by hand."""
    return Verification.parse(_run(running, SIDE, "10s", "cat", "/run/restore/verified.json"))


# -- steady ------------------------------------------------------------------------------------------


def ready(running: RunningStack) -> str | None:
    """The repository is this cluster's, has a full backup, and WAL reaches it; or what is wrong."""
    found = info(running)
    if found.status != "ok":
        return f"the repository says: {found.status}"
    own = system_id(running)
    if found.system_id != own:
        return f"the repository is of cluster {found.system_id}, not of {own}: run adopt-cluster there"
    if not any(b.type == "full" and not b.damaged for b in found.backups):
        return "no full backup"
    last, failing = _ask(
        running,
        PRIMARY,
        "SELECT last_archived_wal, "
        "coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL) FROM pg_stat_archiver",
    ).split("|")
    if failing == "t":
        return f"archiving fails; the last segment archived is {last or 'none'}"
    return None


def wait_ready(running: RunningStack, limit: Duration = "90s") -> None:
    """Wait until `ready`."""
    wait_until("a repository in step", lambda: ready(running), limit=limit, every=0.5, error=BackupError)


# -- inside ------------------------------------------------------------------------------------------


def _run(running: RunningStack, instance: str, limit: Duration, *command: str) -> str:
    """The output of a program in the instance."""
    shown = shlex.join(command)
    try:
        result = running.exec(instance, command, timeout=seconds(limit))
    except PlatformError as error:
        raise BackupError(str(error)) from error
    if result.code != 0:
        last = "\n".join(result.output.strip().splitlines()[-_LINES:])
        raise BackupError(f"{instance}: `{shown}` ended with {result.code}\n{last}")
    return result.output


def _ask(
    running: RunningStack, where: str, query: str, database: str = "postgres", timeout: float = 5
) -> str:
    [instance] = running.resolve(where)
    try:
        return ask_postgres(running, instance.name, query, database, timeout)
    except PlatformError as error:
        raise BackupError(str(error)) from error
