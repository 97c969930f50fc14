"""What "steady" means for the stack `region`: whichever region serves, the other one follows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import requests

from sut import conditions
from sut.region import settings
from sut.settings import FRONTS, POSTGRES

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


def is_primary(running: RunningStack, node: str) -> bool:
    """Whether the node leads its region and takes writes; no, if its Patroni does not answer."""
    told = _told(running, node, "/primary")
    # The page alone is early: it answers 200 as soon as the leader of a standby cluster is to be promoted.
    return told is not None and told.get("role") == "primary"


def is_standby_leader(running: RunningStack, node: str) -> bool:
    """Whether the node leads its region and follows the other one; no, if its Patroni does not answer."""
    return _told(running, node, "/standby-leader") is not None


def primaries(running: RunningStack) -> list[str]:
    """The nodes of both regions that say that they are primary: more than one is a split brain."""
    return [name for name in (*POSTGRES, settings.POSTGRES) if is_primary(running, name)]


def second_serves(running: RunningStack) -> bool:
    """Whether the second region's Postgres is a primary."""
    return is_primary(running, settings.POSTGRES)


def postgres(running: RunningStack) -> str | None:
    """One primary in both regions together; of the one that has it all nodes are well, the other streams."""
    found = primaries(running)
    if len(found) != 1:
        return f"primaries: {', '.join(found) or 'none'}"
    if found == [settings.POSTGRES]:
        return follows(running, POSTGRES)
    return conditions.postgres(running) or follows(running, (settings.POSTGRES,))


def follows(running: RunningStack, nodes: Collection[str]) -> str | None:
    """The region of these nodes follows the other one, by its Patroni; or what is wrong."""
    return streams(conditions.get(running.url(next(iter(nodes)), "patroni", "/cluster")).json(), nodes)


def streams(cluster: Mapping[str, Any], nodes: Collection[str]) -> str | None:
    """By what Patroni tells of a region: a standby leader, and all nodes stream; or what is wrong."""
    members = cluster["members"]
    shown = ", ".join(f"{m['name']} {m.get('role')} {m.get('state')}" for m in members) or "no member"
    leaders = [m["name"] for m in members if m.get("role") == "standby_leader"]
    streaming = [m["name"] for m in members if m.get("state") == "streaming"]
    return None if len(leaders) == 1 and sorted(streaming) == sorted(nodes) else shown


def database_proxies(running: RunningStack) -> str | None:
    """The proxy of the region that serves has one server up for writes, the other's none."""
    serving, other = settings.FIRST_PROXY, settings.PROXY
    if second_serves(running):
        serving, other = other, serving
    up = {name: conditions.servers_up(running, name).get("primary", []) for name in (serving, other)}
    if len(up[serving]) != 1 or up[other]:
        return f"up for writes: {up}"
    return None if serving == settings.PROXY else conditions.database_proxy(running)


def front(running: RunningStack) -> str | None:
    """Each front has the app replicas of the region that serves up, and no other."""
    if not second_serves(running):
        return conditions.front(running)
    for name in FRONTS:
        up = conditions.servers_up(running, name).get("app", [])
        if up != [settings.APP]:
            return f"{name} has up: {', '.join(up) or 'none'}"
    return None


def jobs(running: RunningStack) -> str | None:
    """A new job is done; where the first region serves, each of its workers reads as well."""
    # Those of a region that does not serve have no database, and wait for it.
    return conditions.job_done(running) if second_serves(running) else conditions.jobs(running)


def _told(running: RunningStack, node: str, page: str) -> dict[str, Any] | None:
    """The node's status, if its Patroni answers that page with 200."""
    try:
        told = conditions.get(running.url(node, "patroni", page)).json()
    except requests.RequestException:
        return None
    return dict(told)
