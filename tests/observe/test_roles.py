"""Role resolvers against nodes that answer, lie, hang or are gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest

from blackstart.model.stack import Instance, Stack
from blackstart.observe import PatroniRoles, SentinelRoles
from blackstart.stack.running import RunningStack
from tests.observe.places import IMAGE, Place, recorded, running
from tests.observe.resp import Line, RespPlace, resp

#: Seconds; asking the three instances in turn would take three times as long.
TIMEOUT = 1.0
ROLES = SentinelRoles(timeout=TIMEOUT)


def test_patroni_roles_leave_out_who_has_none() -> None:
    nodes = {
        "pg-1": Place({"/health": recorded("patroni-crashed.json")}),
        "pg-2": Place({"/health": recorded("patroni-primary-2.json")}),
        "pg-3": Place({"/health": recorded("patroni-replica-1.json")}),
        "pg-4": Place({}),
    }
    with running("postgres", "patroni", nodes) as stack:
        roles = PatroniRoles(timeout=TIMEOUT)
        assert roles.resolve(stack, "postgres") == {"pg-2": "primary", "pg-3": "replica"}
        # In a split both say so, and a drill must see it.
        nodes["pg-1"].answers["/health"] = recorded("patroni-primary-1.json")
        assert [*roles.resolve(stack, "postgres").values()].count("primary") == 2
        for node in nodes.values():
            node.freeze()
        began = time.monotonic()
        assert roles.resolve(stack, "postgres") == {}
        assert time.monotonic() - began < 2 * TIMEOUT


class Redis(RespPlace):
    """Answers ROLE and SENTINEL GET-MASTER-ADDR-BY-NAME."""

    def __init__(self, *, role: str = "master", names: str | None = None) -> None:
        self.role, self.names, self.thawed = role, names, threading.Event()
        self.thawed.set()
        super().__init__()

    def answer(self, command: list[str], line: Line) -> bytes:
        self.thawed.wait(2)
        if command[0] == "ROLE":
            return resp([self.role, 42, []])
        if command[:2] == ["SENTINEL", "GET-MASTER-ADDR-BY-NAME"]:
            assert command[2] == "CACHE"
            return b"*-1\r\n" if self.names is None else resp([self.names, "6379"])
        return b"-ERR unknown command\r\n" if command[0] != "CLIENT" else b"+OK\r\n"


@contextmanager
def redis(
    nodes: Mapping[str, Redis], sentinels: Mapping[str, Redis], *, published: bool = True
) -> Iterator[RunningStack]:
    publish = ("redis",) if published else ()
    stack = Stack(
        "recorded",
        IMAGE,
        (
            *(Instance(n, "redis", IMAGE, {"redis": 6379}, publish=publish) for n in nodes),
            *(Instance(n, "sentinel", IMAGE, {"sentinel": 6379}, publish=("sentinel",)) for n in sentinels),
        ),
    )
    with ExitStack() as closing:
        for place in (*nodes.values(), *sentinels.values()):
            closing.callback(place.down)
        ports = {n: {6379: r.port} for n, r in {**nodes, **sentinels}.items()}
        yield RunningStack(stack, "test", cast(Any, None), ports)


@pytest.fixture
def nodes() -> dict[str, Redis]:
    return {"redis-1": Redis(role="master"), "redis-2": Redis(role="slave")}


def watchers(*names: str | None) -> dict[str, Redis]:
    return {f"sentinel-{n}": Redis(names=name) for n, name in enumerate(names, start=1)}


def test_the_primary_is_whom_most_sentinels_name(nodes: dict[str, Redis]) -> None:
    with redis(nodes, watchers("redis-1", "redis-1", "redis-2")) as stack:
        assert ROLES.resolve(stack, "redis") == {"redis-1": "primary", "redis-2": "replica"}


def test_without_a_majority_nobody_has_a_role(nodes: dict[str, Redis]) -> None:
    with redis(nodes, watchers("redis-1", "redis-2", None)) as stack:
        assert ROLES.resolve(stack, "redis") == {}


def test_who_contradicts_the_sentinels_has_no_role(nodes: dict[str, Redis]) -> None:
    # A primary that came back, before Sentinel made it a replica.
    nodes["redis-2"].role = "master"
    with redis(nodes, watchers("redis-1", "redis-1", "redis-1")) as stack:
        assert ROLES.resolve(stack, "redis") == {"redis-1": "primary"}


def test_a_frozen_primary_has_no_role_and_costs_one_timeout(nodes: dict[str, Redis]) -> None:
    nodes["redis-1"].thawed.clear()
    with redis(nodes, watchers("redis-1", "redis-1", "redis-1")) as stack:
        began = time.monotonic()
        assert ROLES.resolve(stack, "redis") == {"redis-2": "replica"}
        assert time.monotonic() - began < 2 * TIMEOUT


def test_nodes_that_publish_nothing_are_what_the_sentinels_say(nodes: dict[str, Redis]) -> None:
    with redis(nodes, watchers("redis-2", "redis-2", "redis-2"), published=False) as stack:
        assert ROLES.resolve(stack, "redis") == {"redis-1": "replica", "redis-2": "primary"}


def test_no_sentinel_no_roles(nodes: dict[str, Redis]) -> None:
    sentinels = watchers("redis-1")
    with redis(nodes, sentinels) as stack:
        for sentinel in sentinels.values():
            sentinel.thawed.clear()
        assert ROLES.resolve(stack, "redis") == {}
