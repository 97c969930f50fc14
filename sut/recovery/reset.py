"""The stack `recovery` between drills: cluster and repository are in step, whatever one made of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import requests

from blackstart.model.errors import PlatformError, SteadyStateError
from blackstart.platforms.waiting import wait_until
from sut import load, patroni
from sut.conditions import ask_postgres
from sut.recovery import backups, rotate
from sut.recovery.settings import OPERATOR, REPOSITORY
from sut.settings import POSTGRES

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: A failover is over by then.
_SOON, _LIMIT = "30s", "120s"
#: It is there while the last look at the repository's files found one damaged.
_DAMAGED = "/run/backup/damaged"


def reset(running: RunningStack) -> None:
    """As the sample's; besides, Patroni is not in pause, there is no side cluster, and there is a cluster.

    One whose nodes have all lost their data is restored from the repository; one that was made anew is taken
    for the repository's own. A node with damaged pages is replaced, the declared secrets are in force, and a
    repository that was found damaged is looked at again. Raises HarnessError, and what the sample's raises.
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
    _put_secrets_back(running)
    _look_at_the_repository_again(running)


def _copy_what_is_damaged(running: RunningStack) -> None:
    """A node that has met damaged pages copies everything from the other; a primary hands over before."""
    [primary] = [instance.name for instance in running.resolve(backups.PRIMARY)]
    [standby] = [name for name in POSTGRES if name != primary]
    if _is_damaged(running, standby):
        _tell(running, standby, "/reinitialize", {"force": True})
    if _is_damaged(running, primary):
        _tell(running, primary, "/switchover", {"leader": primary, "candidate": standby})
        _tell(running, primary, "/reinitialize", {"force": True})
        backups.await_primary(running, _LIMIT)


def _is_damaged(running: RunningStack, name: str) -> bool:
    """Whether a node has met damaged pages; one that does not answer is for the steady state to find."""
    query = "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database"
    try:
        return ask_postgres(running, name, query) != "0"
    except PlatformError:
        return False


def _put_secrets_back(running: RunningStack) -> None:
    """A drill that was killed leaves a role that has leaked, and the secrets that it has rotated to."""
    if backups.ask(running, f"SELECT count(*) FROM pg_roles WHERE rolname = '{OPERATOR}'") != "0":
        rotate.back(running)
        backups.ask(running, f"DROP ROLE {OPERATOR}")


def _look_at_the_repository_again(running: RunningStack) -> None:
    """What a control has damaged is whole again, but counts as damaged until somebody has looked."""
    if running.exec(REPOSITORY, ["test", "-e", _DAMAGED]).code == 0:
        # Where it is damaged still, the alert is right to stay.
        with suppress(backups.BackupError):
            backups.verify(running)


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
