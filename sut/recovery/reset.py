"""The stack `recovery` between drills: cluster and repository are in step, whatever one made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

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
    for the repository's own. Raises HarnessError, and what the sample's raises.
    """
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
