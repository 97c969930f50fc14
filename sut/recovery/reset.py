"""The stack `recovery` between drills: cluster and repository are in step, whatever one made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from blackstart.model.errors import SteadyStateError
from blackstart.platforms.waiting import wait_until
from sut import load, patroni
from sut.recovery import backups
from sut.settings import POSTGRES

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: A failover is over by then.
_SOON, _LIMIT = "30s", "120s"


def reset(running: RunningStack) -> None:
    """As the sample's; besides, Patroni is not in pause, there is no side cluster, and there is a cluster.

    One whose nodes have all lost their data is restored from the repository; one that was made anew is taken
    for the repository's own. A primary with damaged pages is replaced. Raises HarnessError, and what the
    sample's raises.
    """
    # One that goes on would hold the side cluster, or copy files under a Patroni that acts again.
    backups.end_restores(running)
    _resume(running)
    load.reset(running)
    backups.drop_side(running)
    try:
        backups.await_primary(running, _SOON)
    except backups.BackupError:
        if _any_data(running):
            backups.await_primary(running, _LIMIT)
        else:
            backups.rebuild(running)
    if backups.info(running).system_id not in ("", backups.system_id(running)):
        backups.adopt(running)
    _copy_what_is_damaged(running)


def _copy_what_is_damaged(running: RunningStack) -> None:
    """A primary that has met damaged pages hands over, and copies everything from its successor."""
    if backups.ask(running, "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database") == "0":
        return
    [damaged] = [instance.name for instance in running.resolve(backups.PRIMARY)]
    [other] = [name for name in POSTGRES if name != damaged]
    handing = {"leader": damaged, "candidate": other}
    _tell(running, damaged, "/switchover", handing)
    _tell(running, damaged, "/reinitialize", {"force": True})
    backups.await_primary(running, _LIMIT)


def _tell(running: RunningStack, name: str, path: str, words: dict[str, Any]) -> None:
    """Ask a node's Patroni until it says yes; it refuses while something else is under way."""

    def refused() -> str | None:
        answer = requests.post(running.url(name, "patroni", path), json=words, timeout=30)
        return None if answer.ok else f"{answer.status_code}: {answer.text.strip()[:200]}"

    wait_until(f"{path} of {name}", refused, limit=_LIMIT, every=0.5, error=SteadyStateError)


def _resume(running: RunningStack) -> None:
    """A restore in place that broke off leaves Patroni in pause."""
    for name in POSTGRES:
        try:
            told = requests.get(running.url(name, "patroni", "/config"), timeout=2).json()
        except (requests.RequestException, ValueError):
            continue
        if told.get("pause"):
            patroni.configure(running, {"pause": False})
        return


def _any_data(running: RunningStack) -> bool:
    """Whether any node has a cluster's files."""
    version = f"{backups.DATA}/PG_VERSION"
    return any(running.exec(name, ["test", "-e", version]).code == 0 for name in POSTGRES)
