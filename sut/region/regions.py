"""The regions of the stack `region` between drills: who serves, who follows, and how that is put right.

Each region's part is in its own Patroni's dynamic configuration: with `standby_cluster` in it the region's
leader follows the other region, without it that leader is a primary. In drills the runbooks region-lost and
region-failback do this under load; here no client is waited for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import requests

from blackstart.model.errors import HarnessError, SteadyStateError
from blackstart.platforms.capabilities import disk_place
from blackstart.platforms.waiting import wait_until
from sut import load
from sut.conditions import ask_postgres
from sut.region import conditions, settings
from sut.settings import ETCD, POSTGRES, POSTGRES_DISK

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

_FIRST, _SECOND = POSTGRES, (settings.POSTGRES,)
#: By then a link is up again, a failover is over, a region is made anew.
_SHORT, _SOON, _LIMIT = "10s", "40s", "90s"
#: What Patroni knows of a cluster beside its configuration: without these an empty node begins anew.
_OF_THE_CLUSTER = ("initialize", "leader", "status", "sync", "history", "failsafe")


def following(proxy: str, slot: str) -> dict[str, Any]:
    """The part of the dynamic configuration by which a region follows the primary behind `proxy`."""
    return {
        "host": proxy,
        "port": settings.PRIMARY_PORT,
        "primary_slot_name": slot,
        "create_replica_methods": ["basebackup"],
    }


def reset(running: RunningStack) -> None:
    """As the sample's; besides, the first region serves, and the second follows it.

    Where the second serves, the first is made anew from it if it does not follow, and takes over. A second
    region that does not follow then is made anew. Raises HarnessError, and what the sample's raises.
    """
    load.reset(running)
    if _serving(running) == _SECOND:
        if not _first_follows(running):
            first_anew(running)
        take_over(running)
    allow_clients(running)
    if conditions.second_serves(running):
        # Two primaries: what the second has taken alone is given up.
        second_anew(running)
        return
    try:
        _await("the second region to follow", lambda: conditions.follows(running, _SECOND), _SOON)
    except SteadyStateError:
        second_anew(running)


def serve_from_second(running: RunningStack) -> None:
    """Have the second region serve, and the first follow it, as some time after `region-lost`.

    Nothing is lost: nobody writes meanwhile. Raises HarnessError.
    """
    [leader] = conditions.primaries(running)
    position = ask_postgres(running, leader, "SELECT pg_current_wal_lsn()")
    _replayed(running, settings.POSTGRES, position)
    for name in _FIRST:
        running.platform.kill(running.container(name))
    _promote(running, settings.POSTGRES, settings.SLOT_OF_FIRST)
    first_anew(running)


def first_anew(running: RunningStack) -> None:
    """Have the first region's nodes begin empty, and follow the second region. Raises HarnessError."""
    for name in _FIRST:
        running.platform.kill(running.container(name))
    # The configuration first: an empty node that finds none of the keys begins a cluster as it says.
    told = _etcd(running, ETCD[0], "get", "--print-value-only", f"{settings.KEYS}/config")
    config = json.loads(told) | {"standby_cluster": following(settings.PROXY, settings.SLOT_OF_FIRST)}
    config.pop("slots", None)
    _etcd(running, ETCD[0], "put", f"{settings.KEYS}/config", json.dumps(config))
    for key in _OF_THE_CLUSTER:
        _etcd(running, ETCD[0], "del", f"{settings.KEYS}/{key}")
    _restart_empty(running, _FIRST)
    _await("the first region to follow", lambda: conditions.follows(running, _FIRST), _LIMIT)


def take_over(running: RunningStack) -> None:
    """Have the first region, which follows, serve again; the second is made anew. Raises HarnessError."""
    position = ask_postgres(running, settings.POSTGRES, "SELECT pg_current_wal_lsn()")
    [leader] = [name for name in _FIRST if conditions.is_standby_leader(running, name)]
    _replayed(running, leader, position)
    running.platform.kill(running.container(settings.POSTGRES))
    _promote(running, leader, settings.SLOT_OF_SECOND)
    second_anew(running)


def second_anew(running: RunningStack) -> None:
    """Have the second region's node begin empty, and follow the first region. Raises HarnessError."""
    running.platform.kill(running.container(settings.POSTGRES))
    # With the configuration: the node's own file says whom it follows.
    _etcd(running, settings.ETCD, "del", "--prefix", f"{settings.KEYS}/")
    _restart_empty(running, _SECOND)
    _await("the second region to follow", lambda: conditions.follows(running, _SECOND), _LIMIT)


def allow_clients(running: RunningStack) -> None:
    """A switch that broke off leaves the service without its login. Raises HarnessError."""
    for primary in conditions.primaries(running):
        ask_postgres(running, primary, "ALTER ROLE app LOGIN")


def _serving(running: RunningStack) -> tuple[str, ...]:
    """The nodes of the region that serves; of two, the first, and of none, the second, which is promoted."""

    def nobody() -> str | None:
        return None if conditions.primaries(running) else "neither region has a primary"

    try:
        _await("a region that serves", nobody, _SOON)
    except SteadyStateError:
        _promote(running, settings.POSTGRES, settings.SLOT_OF_FIRST)
    return _SECOND if conditions.primaries(running) == [settings.POSTGRES] else _FIRST


def _first_follows(running: RunningStack) -> bool:
    """Whether the first region's nodes stream from the second; they may just have begun to."""
    try:
        _await("the first region to follow", lambda: conditions.follows(running, _FIRST), _SHORT)
    except SteadyStateError:
        return False
    return True


def _promote(running: RunningStack, node: str, slot: str) -> None:
    """Have the node's region follow nobody any more, and keep the log for the other one."""
    changed = {"standby_cluster": None, "slots": {slot: {"type": "physical"}}}

    def refused() -> str | None:
        answer = requests.patch(running.url(node, "patroni", "/config"), json=changed, timeout=5)
        return None if answer.ok else f"{node} answers {answer.status_code}: {answer.text[:200]}"

    def other() -> str | None:
        return None if conditions.is_primary(running, node) else f"{node} is no primary"

    _await(f"Patroni of {node} to take {changed}", refused, _SOON)
    _await(f"{node} to be primary", other, _SOON)


def _replayed(running: RunningStack, node: str, position: str) -> None:
    """Wait until a standby has replayed the log up to there."""

    def behind() -> str | None:
        seen = ask_postgres(running, node, f"SELECT pg_last_wal_replay_lsn() >= '{position}'")
        return None if seen == "t" else f"{node} is not there yet"

    _await(f"{node} to replay up to {position}", behind, _SOON)


def _restart_empty(running: RunningStack, nodes: tuple[str, ...]) -> None:
    for name in nodes:
        place = disk_place(name, POSTGRES_DISK)
        done = running.platform.exec(running.keeper, ["find", place, "-mindepth", "1", "-delete"], 30)
        if done.code != 0:
            raise SteadyStateError(f"{place}: {done.output.strip()}")
        running.platform.start(running.container(name))


def _etcd(running: RunningStack, member: str, *words: str) -> str:
    done = running.exec(member, ["etcdctl", "--command-timeout=3s", *words])
    if done.code != 0:
        raise SteadyStateError(f"{member}: etcdctl {words[0]}: {done.output.strip()}")
    return done.output


def _await(what: str, wrong: Callable[[], str | None], limit: str) -> None:
    """Wait until nothing is wrong any more; who does not answer yet is asked again."""

    def look() -> str | None:
        try:
            return wrong()
        except (HarnessError, requests.RequestException) as error:
            return str(error)

    wait_until(what, look, limit=limit, every=0.3, error=SteadyStateError)
