"""Who the drills of Redis take for the leader of a failover, and whom their variant asks for votes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Self, cast

import pytest
from redis.exceptions import ConnectionError

from blackstart.stack.running import RunningStack
from fixtures import cache
from sut import conditions
from sut.settings import REDIS_MASTER, SENTINELS
from sut.stack import stack

ENTRYPOINT = Path(__file__).parents[2] / "sut/redis/entrypoint.sh"
NOWHERE = cast(RunningStack, None)


class Told:
    """A Sentinel's client that tells these states of a failover one after the other, the last for ever."""

    def __init__(self, *states: str | Exception) -> None:
        self._states: Iterator[str | Exception] = chain(states, repeat(states[-1]))
        self.options: list[tuple[str, str, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def sentinel_master(self, name: str) -> dict[str, Any]:
        state = next(self._states)
        if isinstance(state, Exception):
            raise state
        return {"name": name, **({"failover-state": state} if state else {})}

    def sentinel_set(self, name: str, option: str, value: int) -> bool:
        self.options.append((name, option, value))
        return True


def leader(monkeypatch: pytest.MonkeyPatch, *told: Told) -> str | None:
    clients = dict(zip(SENTINELS, told, strict=True))
    monkeypatch.setattr(cache, "connect_redis", lambda _, name, port: clients[name])
    return cache.failing_over(NOWHERE, limit_s=0.1)


def test_a_sentinel_that_stands_for_election_leads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = (Told("wait_start"), Told(""), Told("wait_start"))
    assert leader(monkeypatch, *told) is None


def test_the_elected_one_is_seen_while_it_is_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = (Told("wait_start"), Told("", "wait_start", "select_slave"), Told(ConnectionError("down")))
    assert leader(monkeypatch, *told) == "sentinel-2"


def test_whoever_has_promoted_is_no_leader_to_strike(monkeypatch: pytest.MonkeyPatch) -> None:
    told = (Told("reconf_slaves"), Told("update_config"), Told(""))
    assert leader(monkeypatch, *told) is None


def test_unanimous_sentinels_are_put_back_to_the_declared_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = {name: Told("") for name in SENTINELS}
    monkeypatch.setattr(conditions, "connect_redis", lambda _, name, port: clients[name])
    variant = stack.variant("sentinels-unanimous")
    variant.apply(NOWHERE)
    variant.revert(NOWHERE)
    declared = re.search(r"^sentinel monitor (\S+) \S+ 6379 (\d)$", ENTRYPOINT.read_text(), re.M)
    assert declared is not None
    assert declared[1] == REDIS_MASTER
    for client in clients.values():
        assert client.options == [
            (REDIS_MASTER, "quorum", len(SENTINELS)),
            (REDIS_MASTER, "quorum", int(declared[2])),
        ]
