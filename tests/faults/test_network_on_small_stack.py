"""The faults on an instance's network, on real containers: what is sent is lost, elsewhere it arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from blackstart.faults import (
    bandwidth_limit,
    dns_failure,
    packet_corruption,
    packet_delay,
    packet_loss,
    partition,
)
from blackstart.faults.base import Undo
from blackstart.injection.expiry import arm
from blackstart.injection.heal import heal
from blackstart.model.errors import BiteError, CapabilityMissing, InjectionError
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.small import client, injected, ready_s, well

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def _mend(small: RunningStack) -> Iterator[None]:
    yield
    reset(small, "30s")


#: Sends 50 datagrams to the other web and counts those that come from there; asks it by its own address.
#: Prints how many came, and the status it answered with.
EXCHANGE = r"""
import threading, urllib.request
mine = socket.socket(type=socket.SOCK_DGRAM); mine.bind((socket.gethostbyname(socket.gethostname()), 9999))
mine.settimeout(0.2)
other = {"web-1": "web-2", "web-2": "web-1"}[socket.gethostname()] + ".net"
def send():
    for _ in range(50):
        try: mine.sendto(b"x", (other, 9999))
        except PermissionError: pass
        time.sleep(0.02)
threading.Thread(target=send, daemon=True).start()
n, until = 0, time.monotonic() + 1
while time.monotonic() < until:
    try: mine.recv(9); n += 1
    except OSError: pass
try: status = urllib.request.urlopen(f"http://{other}:8080/health/live", timeout=0.5).status
except OSError: status = 0
print(json.dumps([n, status]))
"""


def exchange(small: RunningStack) -> tuple[list[int], list[int]]:
    """What web-1 and web-2 have of each other: datagrams of about 50, and the status of a request."""
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda name: client(small, EXCHANGE, name), ("web-1", "web-2"))
    return one, two


@pytest.mark.parametrize(
    ("direction", "hears", "is_heard"),
    [("both", False, False), ("inbound", False, True), ("outbound", True, False)],
)
def test_a_partition_has_a_direction_and_leaves_other_peers_alone(
    small: RunningStack, direction: str, hears: bool, is_heard: bool
) -> None:
    with injected(partition("web-1", "web-2", direction=direction), small) as bite:
        assert bite == f"{small.sidecar('web-1')} hears nothing of web-2"
        one, two = exchange(small)
        assert (one[0] > 0, two[0] > 0) == (hears, is_heard)
        assert one[1] == two[1] == 0, "TCP needs both"
        assert ready_s(small) is not None
        assert ready_s(small, "web-2") is not None
    for n, status in exchange(small):
        assert n > 0
        assert status == 200


def test_who_is_not_kept_out_is_heard_however_often_it_is_asked(small: RunningStack) -> None:
    """The kernel would refuse a sender's datagrams once a second only: silence from the seventh on."""
    fault = partition("web-1", "web-2")
    undo = fault.plan(small)
    for _ in range(12):
        with pytest.raises(BiteError, match="still answered by web-2"):
            fault.bite(small, undo)


def test_a_partition_from_all_leaves_the_harness_its_way_in(small: RunningStack) -> None:
    with injected(partition("web-1"), small) as bite:
        assert "hears nothing of store-1, web-2" in bite
        live = requests.get(small.url("web-1", "http", "/health/live"), timeout=3)
        assert live.status_code == 200
        assert small.toxiproxy("web-1").proxies()
        assert ready_s(small) is None
        assert exchange(small) == ([0, 0], [0, 0])
        assert ready_s(small, "web-2") is not None
    well(small)
    assert [status for _, status in exchange(small)] == [200, 200]


def test_a_partition_that_nobody_undoes_ends_in_place(small: RunningStack) -> None:
    fault = partition("store", "web")
    undo = Undo.from_dict(json.loads(json.dumps(fault.plan(small).to_dict())))
    arm(undo, small.platform, 1.0)
    fault.inject(small, undo)
    assert "blackstart_" in str(type(fault).undone(undo, small.platform))
    wait_until("it ends by itself", lambda: type(fault).undone(undo, small.platform), limit=5)
    well(small)


#: Sends 2000 numbered datagrams, paced.
SEND = r"""
s = socket.socket(type=socket.SOCK_DGRAM)
for n in range(2000):
    s.sendto(b"x", ("%s.net", 9999))
    if n %% 50 == 49: time.sleep(0.01)
print(0)
"""
#: Counts the datagrams that arrive until none has for 0.4 s.
COUNT = r"""
s = socket.socket(type=socket.SOCK_DGRAM); s.bind((socket.gethostbyname(socket.gethostname()), 9999))
n = 0; s.settimeout(5)
try:
    while True: s.recv(9); n += 1; s.settimeout(0.4)
except TimeoutError: print(json.dumps(n))
"""


def arriving(small: RunningStack, sender: str, receiver: str) -> int:
    """Of 2000 datagrams, how many arrive."""
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(client, small, COUNT, receiver)

        def listens() -> str | None:
            told = small.platform.exec(small.sidecar(receiver), ["ss", "-Hlun", "sport", "=", "9999"])
            return None if told.output else "not yet"

        wait_until(f"{receiver} listens", listens, limit=5)
        client(small, SEND % receiver, sender)
        return int(counted.result())


def test_packets_are_lost_in_the_share_and_direction_asked_for(small: RunningStack) -> None:
    # 2000 packets, 30 % lost: outside of 1280 to 1520 arrivals the binomial tails are below 1e-7.
    with injected(packet_loss("web-1", "web-2", percent=30, direction="inbound"), small) as bite:
        assert f"{small.sidecar('web-1')} lost" in bite
        assert 1280 <= arriving(small, "web-2", "web-1") <= 1520
        assert arriving(small, "web-1", "web-2") == 2000
    assert arriving(small, "web-2", "web-1") == 2000
    with injected(packet_loss("web-1", "web-2", percent=30, direction="outbound"), small) as bite:
        assert f"{small.sidecar('web-2')} lost" in bite
        assert 1280 <= arriving(small, "web-1", "web-2") <= 1520


#: Asks for 60 kB; prints after how many seconds all was there.
FETCH = r"""
s = store(); s.sendall(b"SET big %s\r\n" % (b"x" * 60000)); s.recv(9); t0 = time.monotonic()
s.sendall(b"GET big\r\n"); n = 0
while n < 60010: n += len(s.recv(65536))
print(json.dumps(time.monotonic() - t0))
"""


def test_bandwidth_to_a_peer_is_what_was_asked_for(small: RunningStack) -> None:
    expected_s = 60_000 / 50_000
    with injected(bandwidth_limit("store-1", "50kB/s", peers="web-1"), small) as bite:
        assert "held back" in bite
        assert 0.85 * expected_s < client(small, FETCH) < 1.3 * expected_s + 0.3
        assert client(small, FETCH, "web-2") < 0.3
        with pytest.raises(InjectionError, match="shaped already"):
            bandwidth_limit("store-1", "1MB/s").plan(small)
    assert client(small, FETCH) < 0.3


LOOKUP = r"""
import os
os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
t0 = time.monotonic()
try: found = bool(socket.getaddrinfo("web-2.net", 80))
except socket.gaierror: found = False
print(json.dumps([found, time.monotonic() - t0]))
"""


@pytest.mark.parametrize(("how", "least_s", "most_s"), [("refused", 0, 0.5), ("timeout", 0.9, 4)])
def test_names_are_no_longer_found(small: RunningStack, how: str, least_s: float, most_s: float) -> None:
    with injected(dns_failure("web-1", how=how), small) as bite:
        assert "found no web-1.net within" in bite
        found, took_s = client(small, LOOKUP)
        assert not found
        assert least_s <= took_s < most_s
        assert ready_s(small) is None, "its proxy looks the store up for each connection"
        assert client(small, LOOKUP, "web-2")[0]
        assert ready_s(small, "web-2") is not None
    assert client(small, LOOKUP)[0]
    well(small)


def test_what_needs_netem_says_so_where_the_kernel_has_none(small: RunningStack) -> None:
    faults = [packet_delay("web-1", "200ms", peers="web-2"), packet_corruption("web-1", 50, peers="web-2")]
    if not small.platform.has_scheduler(small.sidecar("web-1"), "netem"):
        for fault in faults:
            with pytest.raises(CapabilityMissing, match=rf"no packet scheduler netem .*{fault.kind} needs"):
                fault.plan(small)
        return
    with injected(faults[0], small) as bite:
        assert 180 <= int(bite.rsplit("after ", 1)[1].removesuffix(" ms")) < 600
    with injected(faults[1], small):
        # 2000 packets, half of them turned: 800 to 1200 arrive but for a chance below 1e-15.
        assert 800 <= arriving(small, "web-1", "web-2") <= 1200


def test_a_run_without_a_journal_is_healed_of_all_that_is_in_its_networks(small: RunningStack) -> None:
    for fault in (partition("web-1", "store-1"), bandwidth_limit("web-1", "10kB/s", peers="web-2")):
        fault.inject(small, fault.plan(small))
    assert ready_s(small) is None
    report = heal(small.run_id, platform=small.platform)
    assert report.ok
    taken = f"run {small.run_id}: taken from {small.sidecar('web-1')}"
    assert (
        sorted(line.rpartition("_")[0] for line in report.lines[:2]) == [f"{taken}: the table blackstart"] * 2
    )
    assert report.lines[2:] == [f"{taken}: the scheduler of eth0"]
    well(small)
    assert heal(small.run_id, platform=small.platform).lines == []
