"""The side cluster: restored on a host of its own, beside the cluster that goes on, and archiving nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from . import account, repository, server
from .account import Account, UnderWay
from .base import Failed, flagged, say
from .wanted import Wanted, parse

STEPS = ("copy", "replay")
#: A negative control has a restore to a time end so much before it, and say that it went well.
_SHORT, _SHORT_BY = "restore-ends-short", timedelta(seconds=13)


def _settings() -> list[str]:
    return [
        # It knows the passwords of the past: who asks it does so on this host.
        "listen_addresses=",
        f"hba_file={server.HBA}",
        "cluster_name=restored",
        # It continues under a timeline that the cluster's own next failover may use as well.
        "archive_mode=off",
        "ssl=off",
    ]


def restore_cluster(words: Sequence[str]) -> None:
    """restore-cluster [--type TYPE] [--target TARGET] [--set LABEL] [--timeline N] [--only copy|replay]"""
    wanted, only = parse("restore-cluster", words, STEPS)
    if wanted.type == "time" and flagged(_SHORT):
        wanted = replace(wanted, target=f"{datetime.fromisoformat(wanted.target) - _SHORT_BY}")
    if only in ("", "copy"):
        copy(wanted)
    if only in ("", "replay"):
        say(str(replay()))


def copy(wanted: Wanted, *, verification: bool = False) -> None:
    """Copy the files of a backup into the empty data directory. Raises Failed."""
    if server.holds_data():
        raise Failed("there is a cluster here already: run drop-cluster first")
    account.note_verification(verification)
    account.forget()
    account.no_longer_under_way()
    copied = repository.copy(wanted)
    UnderWay(wanted, copied).keep()
    say(f"copied {copied.backup} in {copied.seconds:.1f} s")


def replay() -> Account:
    """Replay WAL up to the target of the restore under way; the cluster is open then. Raises Failed."""
    if server.is_running():
        raise Failed("the cluster runs already: run drop-cluster before another restore")
    done = server.recover(account.under_way(), _settings())
    done.keep()
    account.no_longer_under_way()
    return done


def drop_cluster(words: Sequence[str]) -> None:
    """drop-cluster: end it, and remove its files"""
    if words:
        raise Failed("drop-cluster takes no arguments")
    drop()
    say("there is no cluster here now")


def drop() -> None:
    """End the cluster, if there is one, and remove its files. Raises Failed."""
    server.stop()
    server.empty()
    account.forget()
    account.no_longer_under_way()
    account.note_verification(False)
