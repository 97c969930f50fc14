"""The engine's events: from a scripted stream, and from a real container."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from blackstart.model.errors import HarnessError
from blackstart.observe import ContainerSource
from blackstart.stack.running import RunningStack
from tests.observe.places import Events, eventually


def happening(at: int, action: str, **told: str) -> dict[str, Any]:
    labels = {"blackstart.run": "test", "blackstart.instance": "pg-1", "blackstart.part": "service"}
    return {"id": "c0ffee", "Action": action, "timeNano": at, "Actor": {"Attributes": {**labels, **told}}}


class Stream:
    """Yields what it is given, then ends, breaks, or stays open until it is closed."""

    def __init__(self, *events: dict[str, Any] | Exception, stay: bool = False) -> None:
        self.events, self.stay, self.closed = events, stay, threading.Event()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event
        if self.stay:
            self.closed.wait(10)

    def close(self) -> None:
        self.closed.set()


class Engine:
    """Hands out one stream after another, or an error; remembers what it was asked."""

    def __init__(self, *streams: Stream | Exception) -> None:
        self.streams, self.asked = list(streams), list[dict[str, Any]]()

    def events(self, **asked: Any) -> Stream:
        self.asked.append(asked)
        stream = self.streams.pop(0) if self.streams else Stream(stay=True)
        if isinstance(stream, Exception):
            raise stream
        return stream

    @property
    def running(self) -> Any:
        return SimpleNamespace(run_id="test", platform=SimpleNamespace(client=SimpleNamespace(api=self)))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.observe.containers.RETRY_S", 0.01)
    monkeypatch.setattr("time.time_ns", lambda: 0)


def test_what_the_engine_says_with_its_time() -> None:
    engine = Engine(
        Stream(
            happening(1_500_000_000, "kill", signal="9"),
            happening(2 * 10**9, "die", exitCode="137"),
            stay=True,
        )
    )
    source, events = ContainerSource(), Events()
    source.start(engine.running, events)
    died = events.until(event="die")
    assert (died["source"], died["instance"], died["part"], died["exit_code"]) == (
        "container",
        "pg-1",
        "service",
        137,
    )
    killed = events.until(event="kill")
    assert (killed["signal"], killed["source_time"]) == ("9", "1970-01-01T00:00:01.500Z")
    assert engine.asked[0]["filters"]["label"] == ["blackstart.run=test"]
    source.stop()
    source.stop()


def test_a_lost_stream_is_taken_up_where_it_broke_without_repeating() -> None:
    first, second = happening(10**9, "pause"), happening(10**9 + 5, "unpause")
    engine = Engine(
        Stream(first, second, OSError("the engine restarts")),
        OSError("connection refused"),
        # The engine repeats what happened at exactly the moment asked for.
        Stream(second, happening(10**9 + 5, "die"), happening(2 * 10**9, "start"), stay=True),
    )
    source, events = ContainerSource(), Events()
    source.start(engine.running, events)
    events.until(event="start")
    names = [e["event"] for e in events.all]
    assert names == ["pause", "unpause", "unreachable", "reachable", "die", "start"]
    assert engine.asked[-1]["since"] == "1.000000005"
    source.stop()


def test_stop_does_not_wait_for_an_event() -> None:
    engine, events = Engine(Stream(stay=True)), Events()
    source = ContainerSource()
    source.start(engine.running, events)
    with pytest.raises(HarnessError, match="running already"):
        source.start(engine.running, events)
    assert eventually(lambda: bool(engine.asked))
    source.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("container:")]
    assert events.all == []


@pytest.mark.integration
def test_a_real_container(small: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    source, events = ContainerSource(), Events()
    source.start(small, events)
    try:
        name = small.container("web-2")
        small.platform.pause(name)
        assert events.until(event="pause")["instance"] == "web-2"
        small.platform.unpause(name)
        events.until(event="unpause")
        small.platform.kill(name)
        assert events.until(event="die")["exit_code"] == 137
    finally:
        small.platform.start(small.container("web-2"))
    events.until(event="start", part="service")
    source.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("container:")]
