"""Sentinels' own words, replayed: what becomes an event, and when a gate trips."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from blackstart.model.stack import Instance, Stack
from blackstart.observe.sentinel import GATE, SentinelSource, parse
from blackstart.stack.running import RunningStack
from tests.observe.places import IMAGE, Events, eventually, recorded
from tests.observe.resp import Line, RespPlace, resp

MESSAGES = [json.loads(line) for line in recorded("sentinel-failover.jsonl").splitlines()]


class Sentinel(RespPlace):
    """Knows one group, and publishes what a test says."""

    def __init__(self, primary: str = "redis-1") -> None:
        self.primary, self.tilt = primary, False
        self.thawed = threading.Event()
        self.thawed.set()
        self.subscribed: list[Line] = []
        super().__init__()

    def answer(self, command: list[str], line: Line) -> bytes:
        self.thawed.wait(5)
        if command[0] == "PSUBSCRIBE":
            self.subscribed.append(line)
            return resp(["psubscribe", "*", 1])
        if command[0] == "PING":
            return resp(["pong", ""])
        if command[0] == "INFO":
            return resp(f"# Sentinel\r\nsentinel_tilt:{self.tilt:d}\r\nsentinel_tilt_since_seconds:7\r\n")
        if command[:2] == ["SENTINEL", "MASTERS"]:
            return resp([["name", "cache", "ip", self.primary, "port", "6379", "flags", "master"]])
        return b"+OK\r\n"

    def publish(self, channel: str, data: str) -> None:
        for line in self.subscribed:
            line.send(resp(["pmessage", "*", channel, data]))

    def down(self) -> None:
        self.subscribed = []
        super().down()


@pytest.fixture
def sentinels() -> dict[str, Sentinel]:
    return {"sentinel-1": Sentinel(), "sentinel-2": Sentinel()}


@pytest.fixture
def stack(sentinels: dict[str, Sentinel]) -> Iterator[RunningStack]:
    instances = [Instance(n, "sentinel", IMAGE, {"sentinel": 80}, publish=("sentinel",)) for n in sentinels]
    with ExitStack() as closing:
        for each in sentinels.values():
            closing.callback(each.down)
        ports = {n: {80: s.port} for n, s in sentinels.items()}
        yield RunningStack(Stack("recorded", IMAGE, tuple(instances)), "test", cast(Any, None), ports)


@pytest.fixture
def events(stack: RunningStack) -> Iterator[Events]:
    source, events = SentinelSource(every=0.05), Events()
    source.timeout = 0.5
    source.start(stack, events)
    for name in ("sentinel-1", "sentinel-2"):
        events.until(event="primary", instance=name)
    yield events
    source.stop()


def test_a_failover_as_it_was_recorded(events: Events, sentinels: dict[str, Sentinel]) -> None:
    for message in MESSAGES:
        sentinels[message["sentinel"]].publish(message["channel"], message["data"])
    first = events.until(event="+sdown", instance="sentinel-2")
    assert (first["server"], first["kind"], first["master"]) == ("redis-1", "primary", "cache")
    assert events.until(event="+odown", instance="sentinel-1")["quorum"] == "2/2"
    assert events.until(event="+elected-leader")["server"] == "redis-1"
    assert events.until(event="+vote-for-leader", instance="sentinel-1")["epoch"] == 1
    promoted = events.until(event="+promoted-slave")
    assert (promoted["server"], promoted["kind"], promoted["primary"]) == ("redis-2", "replica", "redis-1")
    switch = events.until(event="+switch-master", instance="sentinel-2")
    assert (switch["server"], switch["was"]) == ("redis-2", "redis-1")
    assert events.until(event="+slave")["server"] == "redis-1"
    assert events.until(event="-sdown", instance="sentinel-1")["kind"] == "replica"
    events.until(event="-tilt")
    told = [e for e in events.all if e["source"] == "sentinel" and e["event"] != "primary"]
    assert len(told) == len(MESSAGES)


@pytest.mark.parametrize(
    ("channel", "data", "fields"),
    [
        (
            "-role-change",
            "slave redis-2:6379 redis-2 6379 @ cache redis-1 6379 new reported role is master",
            {
                "server": "redis-2",
                "kind": "replica",
                "master": "cache",
                "primary": "redis-1",
                "detail": "new reported role is master",
            },
        ),
        ("+reset-master", "master cache redis-1 6379", {"server": "redis-1", "kind": "primary"}),
        ("+tilt", "#tilt mode entered", {"detail": "tilt mode entered"}),
        ("+sdown", "<b>nonsense</b>", {"detail": "<b>nonsense</b>"}),
        ("+switch-master", "too short", {"detail": "too short"}),
        ("+sdown", "sentinel abc 10.0.0.7 26379 @", {"server": "10.0.0.7", "kind": "sentinel"}),
        ("+x", "", {}),
    ],
)
def test_of_whom_a_message_speaks(channel: str, data: str, fields: dict[str, str]) -> None:
    assert fields.items() <= parse(channel, data).items()
    assert "detail" in fields or "detail" not in parse(channel, data)


def test_tilt_trips_the_gate_for_as_long_as_it_lasts(events: Events, sentinels: dict[str, Sentinel]) -> None:
    assert not events.find(source="gate")
    sentinels["sentinel-1"].publish("+tilt", "#tilt mode entered")
    events.until(source="gate", event="trip", gate=GATE)
    # A trial may begin to measure while it lasts.
    assert eventually(lambda: len(events.names(source="gate")) > 2)
    sentinels["sentinel-1"].publish("-tilt", "#tilt mode exited")
    events.until(event="-tilt", instance="sentinel-1")
    told = len(events.names(source="gate"))
    assert not eventually(lambda: len(events.names(source="gate")) > told, limit=0.3)


def test_a_sentinel_that_is_in_tilt_when_first_heard(
    stack: RunningStack, sentinels: dict[str, Sentinel]
) -> None:
    sentinels["sentinel-2"].tilt = True
    source, events = SentinelSource(every=0.05), Events()
    source.start(stack, events)
    assert events.until(event="+tilt", instance="sentinel-2")["detail"] == "for 7 s already"
    events.until(source="gate", gate=GATE)
    source.stop()


def test_a_sentinel_that_dies_is_heard_again(events: Events, sentinels: dict[str, Sentinel]) -> None:
    sentinels["sentinel-1"].down()
    events.until(event="unreachable", instance="sentinel-1")
    # What it missed while it was away, it says when it is back.
    sentinels["sentinel-1"].primary = "redis-2"
    sentinels["sentinel-1"].up()
    events.until(event="reachable", instance="sentinel-1")
    assert events.until(event="primary", server="redis-2")["was"] == "redis-1"
    assert eventually(lambda: bool(sentinels["sentinel-1"].subscribed))
    sentinels["sentinel-1"].publish("+sdown", "master cache redis-2 6379")
    events.until(event="+sdown", server="redis-2")
    assert events.names(instance="sentinel-1") == ["primary", "unreachable", "reachable", "primary", "+sdown"]


def test_a_frozen_sentinel_does_not_go_unnoticed(events: Events, sentinels: dict[str, Sentinel]) -> None:
    sentinels["sentinel-1"].thawed.clear()
    assert "timed out" in events.until(event="unreachable", instance="sentinel-1")["reason"]
    sentinels["sentinel-2"].publish("+sdown", "master cache redis-1 6379")
    events.until(event="+sdown", instance="sentinel-2")
    sentinels["sentinel-1"].thawed.set()
    events.until(event="reachable", instance="sentinel-1")


def test_a_quiet_sentinel_is_not_taken_for_a_dead_one(events: Events) -> None:
    assert not eventually(lambda: events.find(event="unreachable") is not None, limit=1.0)


def test_stop_leaves_no_thread(stack: RunningStack) -> None:
    source, events = SentinelSource(every=0.05), Events()
    source.start(stack, events)
    events.until(event="primary")
    source.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("sentinel:")]
