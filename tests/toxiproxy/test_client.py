"""The Toxiproxy client against servers that misbehave, and against a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from blackstart.model.errors import ToxiproxyError
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.launch import launch
from blackstart.platforms.waiting import wait_for
from blackstart.stack.images import ensure_images
from blackstart.toxiproxy import ToxiproxyClient
from tests import smallstack
from tests.toxiproxy.misbehaving import Misbehaving

PROXY = {"name": "a:1", "listen": "127.0.0.1:1001", "upstream": "127.0.0.1:1", "enabled": True, "toxics": []}


def test_two_clients_keep_their_own_addresses() -> None:
    with (
        Misbehaving(lambda *_: (200, json.dumps({"a:1": PROXY}))) as one,
        Misbehaving(lambda *_: (200, "{}")) as two,
    ):
        first, second = ToxiproxyClient(one.url), ToxiproxyClient(two.url)
        assert [len(each.proxies()) for each in (first, second, first)] == [1, 0, 1]


@pytest.mark.parametrize("status", [301, 400, 404, 409, 500, 503])
def test_every_answer_but_2xx_raises(status: int) -> None:
    with Misbehaving(lambda *_: (status, '{"error": "no"}')) as server:
        client = ToxiproxyClient(server.url)
        for act in (
            client.proxies,
            client.reset,
            lambda: client.populate([PROXY]),
            lambda: client.proxy("a:1").disable(),
        ):
            with pytest.raises(ToxiproxyError, match=str(status)):
                act()


def test_a_server_that_hangs_raises_in_time() -> None:
    with Misbehaving(lambda *_: None) as server:
        began = time.monotonic()
        with pytest.raises(ToxiproxyError, match=r"no answer within 0\.3 s"):
            ToxiproxyClient(server.url, timeout=0.3).reset()
        assert time.monotonic() - began < 2


def test_a_server_that_is_gone_raises() -> None:
    with Misbehaving(lambda *_: (200, "")) as server:
        url = server.url
    with pytest.raises(ToxiproxyError):
        ToxiproxyClient(url).proxies()


def test_an_answer_that_is_no_json_raises() -> None:
    with (
        Misbehaving(lambda *_: (200, "<html>")) as server,
        pytest.raises(ToxiproxyError, match="no JSON"),
    ):
        ToxiproxyClient(server.url).proxies()


@pytest.mark.parametrize("act", ["enable", "disable"])
def test_a_switch_that_is_not_read_back_raises(act: str) -> None:
    stuck = {**PROXY, "enabled": act == "disable"}

    def answer(method: str, path: str) -> tuple[int, str]:
        return 200, json.dumps({"a:1": stuck} if path == "/proxies" else stuck)

    with Misbehaving(answer) as server, pytest.raises(ToxiproxyError, match="reads back"):
        getattr(ToxiproxyClient(server.url).proxy("a:1"), act)()


def test_a_toxic_that_stays_after_its_removal_raises() -> None:
    toxic = {"name": "t", "type": "latency", "stream": "upstream", "toxicity": 1, "attributes": {}}

    def answer(method: str, path: str) -> tuple[int, str]:
        return 200, json.dumps({"a:1": PROXY} if path == "/proxies" else [toxic])

    with Misbehaving(answer) as server, pytest.raises(ToxiproxyError, match="still there"):
        ToxiproxyClient(server.url).proxy("a:1").destroy_toxic("t")


def test_a_toxic_that_was_not_added_raises() -> None:
    def answer(method: str, path: str) -> tuple[int, str]:
        return 200, json.dumps({"a:1": PROXY} if path == "/proxies" else [])

    with Misbehaving(answer) as server, pytest.raises(ToxiproxyError, match="absent"):
        ToxiproxyClient(server.url).proxy("a:1").add_toxic(type="latency", attributes={"latency": 1})


def test_a_reset_that_leaves_a_toxic_raises() -> None:
    def answer(method: str, path: str) -> tuple[int, str]:
        if path == "/reset":
            return 204, ""
        return 200, json.dumps({"a:1": {**PROXY, "enabled": False}})

    with Misbehaving(answer) as server, pytest.raises(ToxiproxyError, match="not as new"):
        ToxiproxyClient(server.url).reset()


@pytest.fixture(scope="module")
def server(platform: DockerPlatform) -> Iterator[ToxiproxyClient]:
    tag = ensure_images([smallstack.stack.sidecar], progress=print)["toxiproxy"]
    run_id = f"test-toxi-{time.monotonic_ns()}"
    labels = {"blackstart.run": run_id}
    try:
        ports = launch(platform.client, tag, f"bs-{run_id}", labels=labels, publish=(8474,), network="bridge")
        client = ToxiproxyClient(f"http://127.0.0.1:{ports[8474]}")
        wait_for("the server answers", lambda: client.proxies() == {} or None, limit="15s")
        yield client
    finally:
        platform.remove_run(run_id)


def make(server: ToxiproxyClient, name: str, listen: str) -> None:
    server.populate([{"name": name, "listen": listen, "upstream": "127.0.0.1:9"}])


@pytest.mark.integration
class TestRealServer:
    @pytest.fixture(autouse=True)
    def _as_new(self, server: ToxiproxyClient) -> None:
        for proxy in server.proxies().values():
            proxy.destroy()

    def test_populate_returns_also_what_was_there_already(self, server: ToxiproxyClient) -> None:
        wanted = [
            {"name": f"up-{n}:80", "listen": f"127.0.1.{n}:80", "upstream": "127.0.0.1:9"} for n in (1, 2)
        ]
        assert [p.name for p in server.populate(wanted[:1])] == ["up-1:80"]
        server.proxy("up-1:80").add_toxic(type="latency", attributes={"latency": 5, "jitter": 0})
        assert [p.name for p in server.populate(wanted)] == ["up-1:80", "up-2:80"]
        assert "latency_downstream" in server.proxy("up-1:80").toxics()

    def test_populate_replaces_one_with_another_upstream(self, server: ToxiproxyClient) -> None:
        server.populate([{"name": "x", "listen": "127.0.1.1:80", "upstream": "127.0.0.1:9"}])
        server.populate([{"name": "x", "listen": "127.0.1.1:80", "upstream": "127.0.0.1:10"}])
        assert server.proxy("x").upstream == "127.0.0.1:10"

    def test_disable_enable_toxic_and_reset_are_read_back(self, server: ToxiproxyClient) -> None:
        make(server, "pg-1:5432", "127.0.1.1:5432")
        server.proxy("pg-1:5432").disable()
        assert not server.proxy("pg-1:5432").enabled
        for _ in range(2):
            server.proxy("pg-1:5432").enable()
        assert server.proxy("pg-1:5432").enabled
        for _ in range(2):  # an equal toxic that is there is kept
            server.proxy("pg-1:5432").add_toxic(
                type="latency", name="slow", attributes={"latency": 5, "jitter": 1}
            )
        with pytest.raises(ToxiproxyError, match="reads back"):
            server.proxy("pg-1:5432").add_toxic(
                type="latency", name="slow", attributes={"latency": 6, "jitter": 1}
            )
        assert server.proxy("pg-1:5432").destroy_toxic("slow")
        assert not server.proxy("pg-1:5432").destroy_toxic("slow")
        server.proxy("pg-1:5432").add_toxic(type="timeout", stream="upstream", attributes={"timeout": 0})
        server.proxy("pg-1:5432").disable()
        server.reset()
        assert server.proxy("pg-1:5432").enabled
        assert not server.proxy("pg-1:5432").toxics()

    def test_unknown_names_are_refused_with_the_known_ones(self, server: ToxiproxyClient) -> None:
        make(server, "here", "127.0.1.1:80")
        with pytest.raises(ToxiproxyError, match="it has: here"):
            server.proxy("there")
        with pytest.raises(ToxiproxyError, match="invalid toxic type"):
            server.proxy("here").add_toxic(type="gremlins")

    def test_an_address_in_use_raises(self, server: ToxiproxyClient) -> None:
        make(server, "one", "127.0.1.1:80")
        with pytest.raises(ToxiproxyError, match="address already in use"):
            make(server, "two", "127.0.1.1:80")
