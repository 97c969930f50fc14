"""The faults on edges, on real containers: measured from a client's side, on that edge alone, gone after."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
import requests

from blackstart.faults import (
    edge_bandwidth,
    edge_down,
    edge_flapping,
    edge_latency,
    edge_limit_data,
    edge_reset,
    edge_slicer,
    edge_slow_close,
    edge_timeout,
)
from blackstart.faults.base import Undo
from blackstart.injection.expiry import arm
from blackstart.injection.undoing import undo_fully
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.small import background, client, injected, ready_s, well

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def _mend(small: RunningStack) -> Iterator[None]:
    client(
        small, 's = store(); s.sendall(b"SET big %s\\r\\n" % (b"x" * 60000)); print(len(s.recv(9)))', "web-2"
    )
    yield
    reset(small, "30s")


#: Asks for 60 kB; prints how many bytes came, how it ended, and after how many seconds.
FETCH = r"""
t0 = time.monotonic(); s = store(); s.sendall(b"GET big\r\nQUIT\r\n")
n, how = end(s)
print(json.dumps([n, how, time.monotonic() - t0]))
"""
#: $60000, its line end, 60000 bytes, a line end, and +OK.
WHOLE = 8 + 60000 + 2 + 5
#: Sends 60 kB, and prints after how many seconds the store has had all.
SEND = r"""
t0 = time.monotonic(); s = store(); s.sendall(b"*2\r\n$4\r\nECHO\r\n$60000\r\n" + b"x" * 60000 + b"\r\n")
n = 0
while n < 60000: n += len(s.recv(65536))
print(json.dumps(time.monotonic() - t0))
"""


def test_an_edge_down_is_felt_on_that_edge_alone(small: RunningStack) -> None:
    with injected(edge_down("web-1", "store-1"), small) as bite:
        assert "proxies disabled: web-1 -> store-1:6379" in bite
        assert ready_s(small) is None
        assert ready_s(small, "web-2") is not None
    well(small)


@pytest.mark.parametrize("direction", ["both", "upstream", "downstream"])
def test_latency_is_measured_as_it_is_felt(small: RunningStack, direction: str) -> None:
    with injected(edge_latency("web-1", "store-1", latency="300ms", direction=direction), small) as bite:
        measured_ms = int(bite.rsplit("after ", 1)[1].removesuffix(" ms"))
        expected = 600 if direction == "both" else 300
        assert 0.9 * expected <= measured_ms < expected + 400
    well(small)


def test_a_share_of_the_connections_is_late(small: RunningStack) -> None:
    # 160 connections with share 0.5: outside of 40 to 120 late ones the binomial tails are below 1e-9.
    fault = edge_latency("web-1", "store-1", latency="300ms", direction="downstream", share=0.5)
    script = r"""
from concurrent.futures import ThreadPoolExecutor
def one(_):
    t0 = time.monotonic(); s = store(); s.sendall(b"PING\r\n"); s.recv(9); return time.monotonic() - t0
with ThreadPoolExecutor(40) as pool: print(json.dumps(list(pool.map(one, range(160)))))
"""
    with injected(fault, small) as bite:
        assert "for 50% of connections" in bite
        assert "first answer after" in bite
        late = sum(s >= 0.27 for s in client(small, script))
        assert 40 <= late <= 120
    assert max(client(small, script)) < 0.27


@pytest.mark.parametrize("direction", ["upstream", "downstream"])
def test_what_is_said_into_a_black_hole_is_not_answered(small: RunningStack, direction: str) -> None:
    with injected(edge_timeout("web-1", "store-1", direction=direction), small) as bite:
        assert bite.startswith("timeout")
        assert bite.endswith("a probe got no answer in 1 s")
        assert ready_s(small) is None
        assert ready_s(small, "web-2") is not None, "the other edge is whole"
    well(small)


def test_bandwidth_is_what_was_asked_for_in_its_direction_alone(small: RunningStack) -> None:
    expected_s = 60_000 / 50_000
    with injected(edge_bandwidth("web-1", "store-1", rate="50kB/s", direction="downstream"), small):
        n, _, took_s = client(small, FETCH)
        assert n == WHOLE
        assert 0.85 * expected_s < took_s < 1.15 * expected_s + 0.3
        assert client(small, FETCH, "web-2")[2] < 0.3
    with injected(edge_bandwidth("web-1", "store-1", rate="400kbit/s", direction="upstream"), small):
        assert 0.85 * expected_s < client(small, SEND) < 1.15 * expected_s + 0.3
        assert client(small, FETCH)[2] < 0.3, "the other direction is whole"
    assert client(small, FETCH)[2] < 0.3
    assert client(small, SEND) < 0.3


def test_the_end_of_a_connection_arrives_late_and_what_was_said_in_time(small: RunningStack) -> None:
    script = r"""
s = store(); s.sendall(b"PING\r\nQUIT\r\n"); t0 = time.monotonic(); s.recv(9); said = time.monotonic() - t0
end(s); print(json.dumps([said, time.monotonic() - t0]))
"""
    with injected(edge_slow_close("web-1", "store-1", delay="1s", direction="downstream"), small) as bite:
        hung_up_ms = int(bite.rsplit("after ", 1)[1].removesuffix(" ms"))
        assert 900 <= hung_up_ms < 1500
        said_s, ended_s = client(small, script)
        assert said_s < 0.3
        assert 0.9 <= ended_s < 1.5
    assert client(small, script)[1] < 0.3


def test_pieces_are_of_the_size_and_the_pace_asked_for(small: RunningStack) -> None:
    script = r"""
s = store(); s.sendall(b"ECHO " + b"x" * 400 + b"\r\n"); parts, n, t0 = [], 0, time.monotonic()
while n < 408: parts.append(len(s.recv(65536))); n += parts[-1]
print(json.dumps([parts, time.monotonic() - t0]))
"""
    fault = edge_slicer("web-1", "store-1", size=20, variation=5, delay="20ms", direction="downstream")
    with injected(fault, small):
        parts, took_s = client(small, script)
        # Two pieces may be read as one on a busy machine; hardly ever three.
        assert max(parts) <= 75
        assert len(parts) >= 12
        assert 0.02 * math.ceil(408 / 25) * 0.9 < took_s < 1.5
    parts, _ = client(small, script)
    assert len(parts) <= 3


def test_an_answer_is_cut_where_it_was_asked_for(small: RunningStack) -> None:
    with injected(edge_limit_data("web-1", "store-1", size="20kB", direction="downstream"), small):
        assert client(small, FETCH)[:2] == [20_000, "closed"]
        assert client(small, FETCH, "web-2")[0] == WHOLE
    assert client(small, FETCH)[0] == WHOLE


#: Five connections on which nothing is said after the first word; prints how they end, within 6 s.
IDLE = r"""
from concurrent.futures import ThreadPoolExecutor
pool = [store(6) for _ in range(5)]
for s in pool: s.sendall(b"PING\r\n"); s.recv(9)
print("idle", flush=True)
with ThreadPoolExecutor(5) as each: print(json.dumps(list(each.map(end, pool))))
"""


def test_connections_are_reset_idle_ones_too(small: RunningStack) -> None:
    """The idle ones have said nothing since before the fault, and say nothing during it."""
    with background(small, "web-1", IDLE) as pool, background(small, "web-2", IDLE) as other:
        assert [next(pool), next(other)] == [b"idle\n"] * 2
        with injected(edge_reset("web-1", "store-1"), small) as bite:
            assert bite.endswith("a probe was reset")
            began = time.monotonic()
            assert json.loads(next(pool)) == [[0, "ConnectionResetError"]] * 5
            assert time.monotonic() - began < 2
            assert client(small, FETCH)[1] == "ConnectionResetError"
            assert ready_s(small, "web-2") is not None
        assert client(small, FETCH)[:2] == [WHOLE, "closed"]
        assert json.loads(next(other)) == [[0, "TimeoutError"]] * 5, "another instance's are whole"
    well(small)


#: Twenty connections on which nothing is ever said, each made again at once when it breaks, for 5 s.
POOL = r"""
from concurrent.futures import ThreadPoolExecutor
def keep(_, until=time.monotonic() + 5):
    while time.monotonic() < until:
        s = store(1)
        try: s.recv(9)
        except OSError: pass
with ThreadPoolExecutor(20) as pool: pool.map(keep, range(20)); time.sleep(0.5); print("held", flush=True)
print("over")
"""


def test_a_pool_that_connects_again_at_once_does_not_keep_a_reset_from_striking(small: RunningStack) -> None:
    with background(small, "web-1", POOL) as pool:
        assert next(pool) == b"held\n"
        for _ in range(3):
            with injected(edge_reset("web-1", "store-1"), small) as bite:
                assert bite.endswith("a probe was reset")
        assert next(pool) == b"over\n"
    well(small)


#: For so many seconds, every 20 ms: whether the edge takes a connection. Prints the moments of change.
WATCH = r"""
seen, last, t0 = [], None, time.monotonic()
while (now := time.monotonic() - t0) < %s:
    try: store(1).close(); up = True
    except OSError: up = False
    if up is not last: seen.append([now, up]); last = up
    time.sleep(0.02)
print(json.dumps(seen))
"""


def test_a_flapping_edge_goes_down_and_up_without_the_harness_and_is_left_up(small: RunningStack) -> None:
    with injected(edge_flapping("web-1", "store-1", down="400ms", up="600ms"), small) as bite:
        assert "seen down: web-1 -> store-1:6379" in bite
        changes = client(small, WATCH % 2.5)
        assert 4 <= len(changes) <= 7, changes
        spans = [(b[0] - a[0], a[1]) for a, b in pairwise(changes[1:])]
        assert all(abs(s - (0.6 if up else 0.4)) < 0.2 for s, up in spans), spans
        assert ready_s(small, "web-2") is not None
    assert [up for _, up in client(small, WATCH % 1.1)] == [True]
    well(small)


def test_flapping_ends_after_its_maximum_duration_with_nobody_there(small: RunningStack) -> None:
    fault = edge_flapping("web-1", "store-1", down="300ms", up="200ms", max_duration="1s")
    undo = fault.plan(small)
    fault.inject(small, undo)
    wait_until("flapping ends by itself", lambda: type(fault).undone(undo, small.platform), limit=5)
    well(small)


def test_a_flapping_that_would_go_on_is_ended_by_its_expiry(small: RunningStack) -> None:
    fault = edge_flapping("web-1", "store-1", down="200ms", up="200ms")
    undo = fault.plan(small)
    arm(undo, small.platform, 1.0)
    fault.inject(small, undo)
    wait_until("flapping is ended", lambda: type(fault).undone(undo, small.platform), limit=5)
    well(small)


def test_a_toxiproxy_that_hangs_during_the_undo_is_started_anew_with_its_service(small: RunningStack) -> None:
    fault = edge_latency("web-1", "store-1", latency="300ms")
    undo = Undo.from_dict(json.loads(json.dumps(fault.plan(small).to_dict())))
    fault.inject(small, undo)
    sidecar, service = small.sidecar("web-1"), small.container("web-1")
    before = {n: small.platform.inspect(n)["State"]["StartedAt"] for n in (sidecar, service)}
    assert small.platform.signal_process(sidecar, "toxiproxy-serve", "STOP")
    undo_fully(undo, small.platform, grace_s=1.0)
    after = {n: small.platform.inspect(n)["State"]["StartedAt"] for n in (sidecar, service)}
    assert all(before[n] != after[n] for n in before)
    well(small)
    answer = requests.get(small.url("web-1", "http", "/health/ready"), timeout=3)
    assert answer.elapsed.total_seconds() < 0.25
    assert type(fault).undone(undo, small.platform) is None
