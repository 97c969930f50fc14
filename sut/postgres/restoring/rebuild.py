"""A cluster made from the repository alone: no node has its data any more.

Patroni calls `bootstrap-from-repository` on the node that begins the cluster. Where the restore fails, that
program stays and waits for other words: to end would end Patroni, and another node would begin with the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from . import account, patroni, repository, server
from .account import UnderWay
from .base import PUSH, RUN, Failed, place, say, until
from .wanted import Wanted, parse

#: What is wanted, for the next try; and how far the present one is: copying, replaying, restored, failed.
_WANTED = RUN / "wanted.json"
_STATE = RUN / "state"
_WHY = RUN / "why"
#: Seconds within which the copying of files, or the replay of WAL, must come further.
_PROGRESS_LIMIT_S = 1800.0
_BEGIN_LIMIT_S = 60.0
_FOREVER_S = float("inf")


def rebuild_from_repository(words: Sequence[str]) -> None:
    """rebuild-from-repository [--type TYPE] [--target TARGET] [--set LABEL] [--timeline N]

    On a node without data. Returns once the files are copied; `await-recovery` and `await-primary` follow.
    """
    wanted, _ = parse("rebuild-from-repository", words)
    state = _state()
    if state == "":
        _refuse(wanted)
        _want(wanted)
        # A cluster that begins anew does so at once where etcd knows of none.
        if _state() == "":
            patroni.await_no_leader()
            patroni.forget_cluster()
        until("the begin of the restore", lambda: None if _state() else "Patroni waits", _BEGIN_LIMIT_S)
    elif state == "failed":
        _want(wanted)
        until("the next try", lambda: "not yet" if _WANTED.exists() else None, _BEGIN_LIMIT_S)
    elif wanted != Wanted():
        raise Failed(f"this node is {state} already, to what it was told first")
    until(
        "the copying of files",
        lambda: "copying" if _state() == "copying" else None,
        _PROGRESS_LIMIT_S,
        progress=server.copied,
    )
    _raise_if_failed()
    say("the files are copied")


def await_recovery(words: Sequence[str]) -> None:
    """await-recovery: until the WAL is replayed up to where it was to be"""
    if words:
        raise Failed("await-recovery takes no arguments")
    ended = ("restored", "failed")
    until(
        "the end of recovery",
        lambda: None if _state() in ended else _state() or "none",
        _PROGRESS_LIMIT_S,
        # Also while files are copied: a large cluster's take longer than the limit.
        progress=lambda: (server.copied(), server.replayed()),
    )
    _raise_if_failed()
    say(str(account.last()))


def await_primary(words: Sequence[str]) -> None:
    """await-primary: until Patroni says that this node is the primary"""
    if words:
        raise Failed("await-primary takes no arguments")
    patroni.await_leader()
    say(f"{patroni.own_name()} is primary")


def bootstrap_from_repository(words: Sequence[str]) -> None:
    """bootstrap-from-repository: what Patroni runs where a cluster is to begin and backups of it are kept"""
    if words:
        raise Failed("bootstrap-from-repository takes no arguments")
    while True:
        wanted = _taken()
        try:
            restore(wanted)
            return
        except Failed as error:
            _WHY.write_text(f"{error}\n")
            place(_STATE, "failed\n")
            say(f"restore to {wanted} failed: {error}; rebuild-from-repository with other options goes on")
        until("other options", lambda: None if _WANTED.exists() else "none", _FOREVER_S, every_s=1.0)


def restore(wanted: Wanted) -> None:
    """Restore, recover and end again cleanly: what Patroni starts then is open at once. Raises Failed."""
    place(_STATE, "copying\n")
    server.stop()
    server.empty()
    say(f"restoring: {wanted}")
    copied = repository.copy(wanted)
    place(_STATE, "replaying\n")
    settings = [
        "listen_addresses=",
        f"hba_file={server.HBA}",
        "ssl=off",
        # The history of the new timeline must reach the repository, or later restores would not find it.
        "archive_mode=on",
        f"archive_command={PUSH}",
    ]
    done = server.recover(UnderWay(wanted, copied), settings)
    server.forget_targets()
    server.stop()
    done.keep()
    place(_STATE, "restored\n")
    say(str(done))


def _refuse(wanted: Wanted) -> None:
    if server.holds_data():
        raise Failed("this node has data: to give up its state for an earlier one run restore-in-place")
    patroni.await_answer()
    own = patroni.own_name()
    for member in patroni.members():
        if "bootstrap" in member.state:
            raise Failed(f"{member.name} is being restored already: this node will join it")
        if member.name != own and patroni.is_primary(member):
            raise Failed(f"{member.name} is primary: there is a cluster, which this node only has to join")
        if member.name != own and wanted != Wanted():
            raise Failed(f"{member.name} is there as well and could begin with another state: stop it first")


def _want(wanted: Wanted) -> None:
    place(_WANTED, json.dumps(asdict(wanted)) + "\n")


def _taken() -> Wanted:
    """What is wanted now; it is not wanted a second time."""
    if not _WANTED.exists():
        return Wanted()
    wanted = Wanted(**json.loads(_WANTED.read_text()))
    place(_STATE, "copying\n")
    _WANTED.unlink()
    return wanted


def _state() -> str:
    return _STATE.read_text().strip() if _STATE.exists() else ""


def _raise_if_failed() -> None:
    if _state() == "failed":
        raise Failed(f"{_WHY.read_text().strip()}; run rebuild-from-repository again with other options")
