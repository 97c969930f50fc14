"""A Postgres on the data directory of this host, that recovers and is then open."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from . import repository
from .account import Account, UnderWay
from .base import DATA, FETCH, RUN, Failed, until
from .ended import check, end_of

LOG = RUN / "postgres.log"
HBA = "/usr/local/share/restoring/pg_hba.conf"
_PID = DATA / "postmaster.pid"
_FATAL = re.compile(r"(?:FATAL|PANIC):\s+(.*)")
_TOO_EARLY = "the database system is"
#: What a backup's configuration says of the node on which it was taken, or of a former recovery, would be in
#: force here too. An empty target among these even forbids another one.
_OTHERS = re.compile(
    r"\s*(recovery_\w+|restore_command|archive_cleanup_command|primary_\w+|synchronous_standby_names)\s*="
)
#: Those that pgBackRest leaves in postgresql.auto.conf: a later standby would stop at this restore's target.
_LEFT = (
    "restore_command",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
)
#: The state of a cluster whose primary was ended, and has archived its WAL.
CLEAN = "shut down"
_STATE = re.compile(r"^Database cluster state:\s+(.*\S)", re.MULTILINE)
#: What Postgres logs of each segment that it was given; before it is consistent nobody can ask it.
_GIVEN = "restored log file"
#: Seconds within which a recovery must come further.
_REPLAY_LIMIT_S = 1800.0
_STOP_LIMIT_S = 60.0


def own_address() -> str:
    """The address at which the others reach this host."""
    return socket.gethostbyname(socket.gethostname())


def is_running() -> bool:
    """Whether a Postgres runs on the data directory."""
    try:
        os.kill(int(_PID.read_text().split("\n", 1)[0]), 0)
    except (OSError, ValueError):
        return False
    return True


def ask(*statements: str, database: str = "postgres") -> str:
    """The bare rows that the statements give, each run for itself. Raises Failed."""
    words = ["psql", "-h", "/var/run/postgresql", "-U", "postgres", "-d", database]
    words += ["-AtqX", "-v", "ON_ERROR_STOP=1"]
    for statement in statements:
        words += ["-c", statement]
    env = {**os.environ, "PGCONNECT_TIMEOUT": "3"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    if done.returncode != 0:
        raise Failed(f"psql: {done.stderr.strip()}")
    return done.stdout.strip()


def recover(restore: UnderWay, settings: Iterable[str]) -> Account:
    """Start Postgres on the copied files, wait until it is open, and see that it ended where it was to end.

    It runs on. Where it did not end there it is stopped. Raises Failed.
    """
    # Of now: while it recovers, a primary elsewhere may go on to archive.
    newest = repository.newest_segment(restore.wanted.timeline)
    clean(DATA / "postgresql.conf")
    began = time.monotonic()
    server = _start([f"restore_command={FETCH}", "hot_standby=on", *settings])
    try:
        until("the end of recovery", lambda: _recovering(server), _REPLAY_LIMIT_S, progress=replayed)
        replayed_s = time.monotonic() - began
        account = _account(restore, newest, replayed_s)
    except Failed:
        stop()
        raise
    return account


def replayed() -> tuple[int, str]:
    """How far a recovery is: the segments that it was given, and the LSN once it can be asked."""
    given = LOG.read_text(errors="replace").count(_GIVEN) if LOG.exists() else 0
    try:
        return given, ask("SELECT pg_last_wal_replay_lsn()")
    except Failed:
        return given, ""


def copied() -> int:
    """How many bytes of the data directory's disk are used: it grows while files are copied."""
    return shutil.disk_usage(DATA if DATA.exists() else DATA.anchor).used


def clean(conf: Path) -> None:
    """Take out of a configuration what is another node's, or a former recovery's."""
    if conf.exists():
        lines = conf.read_text().splitlines(keepends=True)
        conf.write_text("".join(line for line in lines if not _OTHERS.match(line)))


def forget_targets() -> None:
    """Take the targets of this recovery out of the configuration of the running server. Raises Failed."""
    ask(*(f"ALTER SYSTEM RESET {name}" for name in _LEFT))


def cluster_state() -> str:
    """What the data directory says of how its Postgres ended; CLEAN after a stop. Raises Failed."""
    done = subprocess.run(
        ["pg_controldata", "-D", str(DATA)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    found = _STATE.search(done.stdout)
    if done.returncode != 0 or found is None:
        raise Failed(f"pg_controldata: {(done.stderr or done.stdout).strip()[-300:]}")
    return found[1]


def stop() -> None:
    """End the Postgres that runs on the data directory, if one does; it archives what is left.

    Raises Failed.
    """
    if not is_running():
        return
    os.kill(int(_PID.read_text().split("\n", 1)[0]), signal.SIGINT)
    until("the end of Postgres", lambda: "it runs" if is_running() else None, _STOP_LIMIT_S)


def empty() -> None:
    """Remove what the data directory holds."""
    for path in DATA.iterdir() if DATA.exists() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def holds_data() -> bool:
    """Whether the data directory holds anything."""
    return DATA.exists() and any(DATA.iterdir())


def _start(settings: Iterable[str]) -> subprocess.Popen[bytes]:
    words = ["postgres", "-D", str(DATA)]
    for setting in settings:
        words += ["-c", setting]
    with LOG.open("wb") as log:
        # A session of its own: it outlives whoever ran this.
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _recovering(server: subprocess.Popen[bytes]) -> str | None:
    if server.poll() is not None:
        # The first says why, but for those that sent away who asked too early, as the line below.
        told = [f for f in _FATAL.findall(LOG.read_text(errors="replace")) if not f.startswith(_TOO_EARLY)]
        raise Failed(_explained(told[0]) if told else f"Postgres ended with {server.returncode}")
    try:
        return None if ask("SELECT pg_is_in_recovery()") == "f" else "it recovers"
    except Failed as error:
        return str(error)


def _explained(fatal: str) -> str:
    if "before configured recovery target was reached" in fatal:
        return f"the target was not reached: the archive ends before it, or lacks a segment ({fatal})"
    if "WAL ends before" in fatal or "required checkpoint record" in fatal:
        return f"WAL is missing: the backup cannot be made consistent ({fatal})"
    return f"recovery failed: {fatal}"


def _account(restore: UnderWay, newest: str, replayed_s: float) -> Account:
    began = time.monotonic()
    timeline = int(ask("SELECT pg_walfile_name(pg_current_wal_lsn())")[:8], 16)
    size = int(ask("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"))
    end = end_of((DATA / "pg_wal" / f"{timeline:08X}.history").read_text())
    check(restore.wanted, end, LOG.read_text(errors="replace"), newest, size)
    # It answers, and it may be written to.
    ask("SELECT pg_logical_emit_message(true, 'restored', 'open')")
    return Account.of(restore.wanted, restore.copied, end, timeline, replayed_s, time.monotonic() - began)
