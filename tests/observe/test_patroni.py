"""Patroni's own words, replayed: what becomes an event, and what does not."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from blackstart.model.errors import HarnessError
from blackstart.observe.patroni import Lock, PatroniSource, PatroniStatus
from blackstart.observe.roles import PatroniRoles
from blackstart.stack.running import RunningStack
from tests.observe.places import Events, Place, recorded, running


def node(name: str, cluster: str = "cluster-1") -> dict[str, bytes]:
    """What a node answers in one state."""
    return {
        "/health": recorded(f"patroni-{name}.json"),
        "/cluster": recorded(f"patroni-{cluster}.json"),
    }


@pytest.fixture
def nodes() -> dict[str, Place]:
    return {"pg-1": Place(node("primary-1")), "pg-2": Place(node("replica-1"))}


@pytest.fixture
def pair(nodes: dict[str, Place]) -> Iterator[RunningStack]:
    with running("postgres", "patroni", nodes, {"postgres": PatroniRoles()}) as stack:
        yield stack


@pytest.fixture
def source() -> Iterator[PatroniSource]:
    source = PatroniSource(every=0.02)
    source.timeout = 1.0
    yield source
    source.stop()


def test_the_first_poll_says_who_is_what(pair: RunningStack, source: PatroniSource) -> None:
    events = Events()
    source.start(pair, events)
    first = events.until(instance="pg-1", event="role")
    assert (first["role"], first["timeline"], first["state"]) == ("primary", 1, "running")
    assert "was" not in first
    assert first["source_time"].endswith("Z")
    assert first["source_error_s"] == 1.0
    assert events.until(instance="pg-2", event="role")["sync_standby"] is True
    assert events.until(event="leader")["leader"] == "pg-1"


def test_what_does_not_change_is_no_event(
    pair: RunningStack, source: PatroniSource, nodes: dict[str, Place]
) -> None:
    events = Events()
    source.start(pair, events)
    events.until(event="leader")
    # The log position moves all the time, and is no change of state.
    nodes["pg-1"].answers["/health"] = recorded("patroni-primary-1.json").replace(b"50811656", b"50999999")
    nodes["pg-2"].answers = node("rejoined")
    assert events.until(instance="pg-2", timeline=2)["xlog"]
    assert events.names(instance="pg-1") == ["role"]


def test_a_failover_as_it_was_recorded(
    pair: RunningStack, source: PatroniSource, nodes: dict[str, Place]
) -> None:
    events = Events()
    source.start(pair, events)
    events.until(event="leader", leader="pg-1")
    nodes["pg-1"].answers = node("crashed")
    crash = events.until(instance="pg-1", state="unknown")
    assert (crash["event"], crash["role"], crash["was"]) == ("state", "primary", "running")
    assert 0 <= crash["within_s"] < 1
    nodes["pg-1"].answers = node("demoted", "cluster-2")
    nodes["pg-2"].answers = node("primary-2", "cluster-2")
    promotion = events.until(instance="pg-2", role="primary")
    assert (promotion["event"], promotion["was"], promotion["timeline"]) == ("role", "replica", 2)
    assert events.until(event="leader", leader="pg-2")["was"] == "pg-1"
    nodes["pg-1"].answers = node("rejoined", "cluster-2")
    assert events.until(instance="pg-1", role="replica")["timeline"] == 2
    assert len(events.names(instance="pg-2")) == 2


def test_a_frozen_node_does_not_blind_the_others(
    pair: RunningStack, source: PatroniSource, nodes: dict[str, Place]
) -> None:
    events = Events()
    source.start(pair, events)
    events.until(instance="pg-1", event="role")
    events.until(event="leader")
    nodes["pg-1"].freeze()
    nodes["pg-2"].answers = node("primary-2")
    began = time.monotonic()
    events.until(instance="pg-2", role="primary")
    assert time.monotonic() - began < source.timeout
    gone = events.until(instance="pg-1", event="unreachable")
    # Whoever draws who was primary must not take a silent node for one.
    assert gone["role"] == "unreachable"
    assert "timed out" in gone["reason"]
    nodes["pg-1"].answers = node("rejoined")
    nodes["pg-1"].thaw()
    back = events.until(instance="pg-1", event="reachable")
    assert (back["role"], back["timeline"], back["state"]) == ("replica", 2, "running")
    assert events.names(instance="pg-1") == ["role", "unreachable", "reachable"]


def test_a_dead_node_is_unreachable_once(
    pair: RunningStack, source: PatroniSource, nodes: dict[str, Place]
) -> None:
    events = Events()
    source.start(pair, events)
    events.until(event="leader", leader="pg-1")
    nodes["pg-1"].down()
    reason = events.until(instance="pg-1", event="unreachable")["reason"]
    assert re.fullmatch(r"\[Errno \d+\] Connection (refused|reset by peer)|Remote end closed.*", reason)
    # The other node still tells who holds the lock.
    nodes["pg-2"].answers = node("primary-2", "cluster-2")
    events.until(event="leader", leader="pg-2")
    assert events.names(instance="pg-1") == ["role", "unreachable"]
    nodes["pg-1"].up()
    events.until(instance="pg-1", event="reachable")


def test_stop_ends_it_even_with_a_frozen_node(
    pair: RunningStack, source: PatroniSource, nodes: dict[str, Place]
) -> None:
    events = Events()
    source.start(pair, events)
    events.until(event="leader")
    with pytest.raises(HarnessError, match="running already"):
        source.start(pair, events)
    nodes["pg-1"].freeze()
    began = time.monotonic()
    source.stop()
    assert time.monotonic() - began < source.timeout + 1
    told = len(events.all)
    nodes["pg-2"].answers = node("primary-2")
    again = Events()
    source.start(pair, again)
    again.until(instance="pg-2", role="primary")
    assert len(events.all) == told


def test_a_defect_of_the_source_is_evidence(pair: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("a defect")

    monkeypatch.setattr("blackstart.observe.patroni.status", broken)
    source, events = PatroniSource(every=0.02), Events()
    source.start(pair, events)
    assert "a defect" in events.until(instance="pg-1", event="source-failed")["reason"]
    source.stop()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"members": 3}'])
def test_anything_else_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"Patroni's|Expecting"):
        PatroniStatus.parse(body)
    with pytest.raises(ValueError, match=r"Patroni's|Expecting"):
        Lock.parse(body)


@pytest.mark.parametrize(
    ("name", "role", "primary", "replica"),
    [
        ("primary-1", "primary", True, False),
        ("replica-1", "replica", False, True),
        ("crashed", "primary", False, False),
        ("demoted", "demoted", False, False),
        ("starting", "replica", False, False),
    ],
)
def test_a_role_counts_only_while_postgres_runs(name: str, role: str, primary: bool, replica: bool) -> None:
    status = PatroniStatus.parse(recorded(f"patroni-{name}.json"))
    assert (status.role, status.is_primary, status.is_replica) == (role, primary, replica)


def test_the_older_word_for_a_primary() -> None:
    assert PatroniStatus.parse(b'{"role": "master", "state": "running", "timeline": 7}').is_primary


def test_the_leader_of_a_standby_cluster_takes_no_writes() -> None:
    leader = PatroniStatus.parse(b'{"role": "standby_leader", "state": "running", "timeline": 7}')
    assert (leader.role, leader.is_primary, leader.is_replica) == ("standby_leader", False, True)


def test_a_cluster_without_a_leader() -> None:
    body = recorded("patroni-cluster-1.json").replace(b'"leader"', b'"replica"')
    assert Lock.parse(body).leader is None
