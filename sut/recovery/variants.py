"""Variants of the stack `recovery` beside those of the sample: weakened ones, and one mode to run in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from blackstart.model.errors import SteadyStateError
from blackstart.model.stack import Variant
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reconfigure
from sut import rotation
from sut.conditions import ask_postgres
from sut.recovery import backups, bundle, streaming
from sut.recovery.settings import REPOSITORY, SIDE
from sut.settings import CONTENT_KEY, NEXT_CONTENT_KEY, POSTGRES

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: Where programs look for files by which they are told not to do what they are there for.
_NODES, _REPOSITORY = "/var/lib/postgresql", "/run/backup"
_NO_ARCHIVING = f"{_NODES}/no-archiving"
_NO_STANDBY = f"{_NODES}/no-archive-on-standby"
_IGNORES = f"{_NODES}/restore-ignores-errors"
_SHORT = f"{_NODES}/restore-ends-short"
_SKIPS = f"{_NODES}/verification-skips-rows"
_NO_WAL = f"{_REPOSITORY}/backups-without-wal"
_NO_VERIFICATION = f"{_REPOSITORY}/no-verification"


def _flag(running: RunningStack, path: str, there: bool, *instances: str) -> None:
    """Have the instances know an empty file of that path, or not. Raises SteadyStateError."""
    for name in instances:
        done = running.exec(name, ["touch", path] if there else ["rm", "-f", path])
        if done.code != 0:
            raise SteadyStateError(f"{name}: {path}: {done.output.strip()}")


def _weaken(path: str, instances: tuple[str, ...], running: RunningStack) -> None:
    _flag(running, path, True, *instances)


def _strengthen(path: str, instances: tuple[str, ...], running: RunningStack) -> None:
    _flag(running, path, False, *instances)


def _archive_again(path: str, running: RunningStack) -> None:
    """What was not archived meanwhile is a hole that no restore crosses: a new backup begins behind it."""
    _flag(running, path, False, *POSTGRES)
    backups.await_primary(running)
    backups.backup(running, "full")


def _heed_checksums(heed: bool, running: RunningStack) -> None:
    """Have every Postgres refuse a page whose checksum is wrong, or answer from it."""

    def in_force() -> str | None:
        told = {name: ask_postgres(running, name, "SHOW ignore_checksum_failure") for name in POSTGRES}
        return None if set(told.values()) == {"off" if heed else "on"} else f"ignore_checksum_failure: {told}"

    change = "RESET ignore_checksum_failure" if heed else "SET ignore_checksum_failure = on"
    for name in POSTGRES:
        ask_postgres(running, name, f"ALTER SYSTEM {change}")
        ask_postgres(running, name, "SELECT pg_reload_conf()")
    wait_until("the nodes to know it", in_force, limit="20s", every=0.2, error=SteadyStateError)


def _without_wal(running: RunningStack) -> None:
    _flag(running, _NO_ARCHIVING, True, *POSTGRES)
    _flag(running, _NO_WAL, True, REPOSITORY)
    backups.backup(running, "full")


def _with_wal(running: RunningStack) -> None:
    _flag(running, _NO_WAL, False, REPOSITORY)
    _archive_again(_NO_ARCHIVING, running)


def _unwatched(running: RunningStack) -> None:
    """Prometheus asks neither repository nor nodes about backups."""
    declared = running.stack.instance("prometheus-1").env["TARGETS"].split()
    asked = " ".join(target for target in declared if not target.startswith("backup="))
    reconfigure(running, {"prometheus-1": {"TARGETS": asked}})


def _stale_bundle(running: RunningStack) -> None:
    bundle.seal(running, content_keys=[CONTENT_KEY])


def _bundle_of_now(running: RunningStack) -> None:
    """Also where the service was started by the stale one: every key that content was sealed with opens."""
    rotation.content_keys(running, [CONTENT_KEY, NEXT_CONTENT_KEY])
    bundle.seal(running)


VARIANTS = (
    Variant(
        "archiving-off",
        "Postgres takes every segment for archived, and none reaches the repository",
        apply=partial(_weaken, _NO_ARCHIVING, POSTGRES),
        revert=partial(_archive_again, _NO_ARCHIVING),
    ),
    Variant(
        "hole",
        "a standby takes what it receives for archived, as with archive_mode=on: once promoted, it pushes "
        "nothing of what the primary before it had not pushed",
        apply=partial(_weaken, _NO_STANDBY, POSTGRES),
        revert=partial(_archive_again, _NO_STANDBY),
    ),
    Variant(
        "backup-without-wal",
        "the newest backup was taken without the WAL that makes it consistent",
        apply=_without_wal,
        revert=_with_wal,
    ),
    Variant(
        "damaged-pages-served",
        "Postgres answers from a page whose checksum is wrong",
        apply=partial(_heed_checksums, False),
        revert=partial(_heed_checksums, True),
    ),
    Variant(
        "no-backup-verify",
        "nobody reads what is in the repository: every file is said to be as it should be",
        apply=partial(_weaken, _NO_VERIFICATION, (REPOSITORY,)),
        revert=partial(_strengthen, _NO_VERIFICATION, (REPOSITORY,)),
    ),
    Variant(
        "verification-skips-rows",
        "the verification of a restore counts no rows",
        apply=partial(_weaken, _SKIPS, (SIDE,)),
        revert=partial(_strengthen, _SKIPS, (SIDE,)),
    ),
    Variant(
        "restore-ignores-errors",
        "every restore says that it went well, whatever came of it",
        apply=partial(_weaken, _IGNORES, (*POSTGRES, SIDE)),
        revert=partial(_strengthen, _IGNORES, (*POSTGRES, SIDE)),
    ),
    Variant(
        "restore-ends-short",
        "a restore to a moment ends some seconds before it, and says that it went well",
        apply=partial(_weaken, _SHORT, (SIDE,)),
        revert=partial(_strengthen, _SHORT, (SIDE,)),
    ),
    Variant(
        "streaming-receiver",
        "the repository's host receives WAL as it is written, beside the segments that are pushed to it",
        apply=streaming.start,
        revert=streaming.stop,
    ),
    Variant(
        "no-backup-alerts",
        "nobody watches backups and archiving",
        apply=_unwatched,
        revert=lambda running: reconfigure(running, {"prometheus-1": {}}),
    ),
    Variant(
        "stale-bundle",
        "the sealed secrets beside the backups are older than the keys that content is sealed with",
        apply=_stale_bundle,
        revert=_bundle_of_now,
    ),
)
