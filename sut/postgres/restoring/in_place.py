"""A restore of the whole cluster where it is: its present state is given up for an earlier one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from . import account, patroni, repository, server
from .account import UnderWay
from .base import DATA, RUN, Failed, say
from .wanted import Wanted, parse

STEPS = ("copy", "replay", "open")
_CONF = "postgresql.conf"
#: Where a restore in place is refused after Postgres was ended.
_RESUME = "end Patroni's pause (patronictl resume)"


def restore_in_place(words: Sequence[str]) -> None:
    """restore-in-place [--type TYPE] [--target TARGET] [--set LABEL] [--timeline N] [--only copy|replay|open]

    On the primary. Patroni is in pause from the first step to the last; where a step fails it stays so,
    nothing is promoted behind a person's back, and the step can be repeated, also to another target.
    """
    wanted, only = parse("restore-in-place", words, STEPS)
    if only in ("", "copy"):
        copy(wanted)
    if only in ("", "replay"):
        replay()
    if only in ("", "open"):
        open_again()


def copy(wanted: Wanted) -> None:
    """End Postgres here, and put the backup's files in place of those that differ. Raises Failed."""
    again = account.is_under_way()
    if not again:
        patroni.refuse_unless_primary()
    patroni.pause()
    served = server.is_running()
    # The archiver pushes on until there is nothing left.
    server.stop()
    if served or not again:
        _refuse_to_lose_wal(clean_only=not again)
    own = RUN / _CONF
    if (DATA / _CONF).exists():
        shutil.copyfile(DATA / _CONF, own)
    account.no_longer_under_way()
    copied = repository.copy(wanted, delta=True)
    # The backup has the configuration of whichever node it was taken from.
    if own.exists():
        shutil.copyfile(own, DATA / _CONF)
    UnderWay(wanted, copied).keep()
    say(f"copied what differs from {copied.backup} in {copied.seconds:.1f} s")


def _refuse_to_lose_wal(*, clean_only: bool) -> None:
    """Raise Failed if there is WAL here that the repository lacks: the restore would remove it.

    With `clean_only` also where Postgres did not end cleanly: the segment that it wrote then is marked for
    nobody, and may have what was acknowledged.
    """
    if clean_only and (state := server.cluster_state()) != server.CLEAN:
        raise Failed(
            f"Postgres did not end cleanly ({state}), so the repository may lack the end of its WAL: "
            f"{_RESUME}, which starts Postgres again; then repeat"
        )
    if lacking := sorted(p.stem for p in (DATA / "pg_wal" / "archive_status").glob("*.ready")):
        raise Failed(
            f"the repository lacks {len(lacking)} WAL files of this node, from {lacking[0]}, which would be "
            f"lost: mend archiving, {_RESUME}, and repeat, or copy pg_wal away and remove the .ready files"
        )


def replay() -> None:
    """Replay WAL up to the target of the restore under way. Raises Failed."""
    if server.is_running():
        raise Failed("Postgres runs: the step `copy` comes first")
    restore = account.under_way()
    done = server.recover(restore, [])
    server.forget_targets()
    UnderWay(restore.wanted, restore.copied, done).keep()
    say(str(done))


def open_again() -> None:
    """Hand the restored primary to Patroni, and have the other members copy it. Raises Failed."""
    restore = account.under_way()
    if restore.ended is None:
        raise Failed("WAL was not replayed yet: the step `replay` comes first")
    # Before Patroni acts again this node must be the leader: a standby of the former timeline has more WAL.
    patroni.await_leader()
    restore.ended.keep()
    own = patroni.own_name()
    others = [member for member in patroni.members() if member.name != own]
    patroni.resume()
    # What it logs went to a file of this restore until now.
    patroni.restart()
    for member in others:
        patroni.reinitialise(member)
    account.no_longer_under_way()
    copied = f"; {', '.join(m.name for m in others)} copies it" if others else ""
    say(f"{own} is primary on timeline {restore.ended.timeline}{copied}")
