"""A running stack finds places, roles and targets; wrong names are answered with the right ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from blackstart.model.errors import ConfigError, InjectionError, ProvisionError
from blackstart.model.stack import Image, Instance, Stack
from blackstart.platforms.capabilities import Container
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.running import RunningStack, fingerprint
from tests import smallstack


class _Roles:
    roles = ("primary", "replica")

    def __init__(self, found: Mapping[str, str]) -> None:
        self.found = found

    def resolve(self, running: object, service: str) -> Mapping[str, str]:
        return self.found


class _Platform:
    def __init__(self, names: list[str]) -> None:
        self.names = names

    def list(self, run_id: str) -> list[Container]:
        return [Container(n, run_id, "small", "", "", "", "", "exited", "", {}) for n in self.names]

    def bindings(self, name: str) -> dict[int, int]:
        return {8474: 21000, 8080: 21001}


def _running(roles: Mapping[str, str] | None = None, platform: object = None) -> RunningStack:
    stack = replace(smallstack.stack, roles={} if roles is None else {"web": _Roles(roles)})
    ports = {"web-1": {8080: 20001, 8474: 20002}}
    return RunningStack(stack, "r1", cast(DockerPlatform, platform), ports)


def test_names_and_addresses() -> None:
    running = _running()
    assert running.container("web-1") == "bs-r1-web-1"
    assert running.sidecar("web-1") == "bs-r1-web-1-net"
    assert running.url("web-1", "http", "/x") == "http://127.0.0.1:20001/x"
    assert running.proxy_api("web-1") == "http://127.0.0.1:20002"


@pytest.mark.parametrize(
    ("ask", "valid"),
    [
        (lambda r: r.url("web-9", "http"), "store-1, web-1, web-2"),
        (lambda r: r.address("web-1", "redis"), "publishes: http"),
        (lambda r: r.address("store-1", "redis"), "publishes: none"),
        (lambda r: r.resolve("webb"), "store, web"),
        (lambda r: r.resolve("web.leader"), "primary, replica"),
        (lambda r: r.resolve("web[zone=z]"), "a, b"),
        (lambda r: r.role_map("store"), "services with roles: web"),
    ],
)
def test_a_wrong_name_is_answered_with_the_valid_ones(ask: Any, valid: str) -> None:
    with pytest.raises(ConfigError, match=valid):
        ask(_running(roles={}))


def test_targets() -> None:
    running = _running(roles={"web-1": "replica", "web-2": "primary"})

    def names(selector: str) -> list[str]:
        return [i.name for i in running.resolve(selector)]

    assert names("web") == ["web-1", "web-2"]
    assert names("web-1") == ["web-1"]
    assert names("web[zone=b]") == ["web-2"]
    assert names("web.primary") == ["web-2"]
    assert names("web.replica[zone=a]") == ["web-1"]


def test_a_role_that_nobody_holds_is_no_target() -> None:
    with pytest.raises(InjectionError, match=r"web\.primary.*web-1"):
        _running(roles={"web-1": "replica"}).resolve("web.primary")


def test_found_from_another_process_by_labels_alone() -> None:
    names = [f"bs-r1-{i}{part}" for i in ("store-1", "web-1", "web-2") for part in ("", "-net")]
    with pytest.raises(ProvisionError, match="no bs-r1-disks"):
        RunningStack.find(smallstack.stack, "r1", cast(DockerPlatform, _Platform(names)))
    platform = cast(DockerPlatform, _Platform([*names, "bs-r1-disks"]))
    found = RunningStack.find(smallstack.stack, "r1", platform)
    assert found.url("web-2", "http") == "http://127.0.0.1:21001"


def test_an_incomplete_run_is_not_found() -> None:
    platform = cast(DockerPlatform, _Platform(["bs-r1-web-1"]))
    with pytest.raises(ProvisionError, match="bs-r1-store-1"):
        RunningStack.find(smallstack.stack, "r1", platform)


TAGS = {
    "smallweb": "blackstart/smallweb:1",
    "toxiproxy": "blackstart/toxiproxy:1",
    "other": "blackstart/other:1",
}
ONE = Instance(
    "one",
    "web",
    smallstack.WEB,
    {"http": 80, "admin": 81},
    command=("serve", "all"),
    env={"A": "1", "B": "2"},
    calls=("two", "three"),
    publish=("http", "admin"),
)
OTHERS = tuple(Instance(name, "store", smallstack.WEB, {"redis": 6379}) for name in ("two", "three"))


def declared(one: Instance = ONE) -> Stack:
    return replace(smallstack.stack, instances=(one, *OTHERS), roles={})


@pytest.mark.parametrize(
    "change",
    [
        {"name": "uno"},
        {"service": "front"},
        {"image": Image("other", smallstack.HERE)},
        {"ports": {"http": 80, "admin": 82}},
        {"zone": "b"},
        {"command": ("all", "serve")},
        {"command": None},
        {"env": {"A": "1", "B": "3"}},
        {"calls": ("three", "two")},
        {"publish": ("http",)},
        {"memory": "1g"},
        {"disks": {"/data": "64m"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_declaration_that_gives_other_containers_has_another_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(declared(replace(ONE, **change)), TAGS) != fingerprint(declared(), TAGS)


@pytest.mark.parametrize("image", ["smallweb", "toxiproxy"])
def test_another_image_gives_another_fingerprint(image: str) -> None:
    assert fingerprint(declared(), TAGS | {image: "blackstart/x:2"}) != fingerprint(declared(), TAGS)


def test_order_and_what_makes_no_container_leave_the_fingerprint_alone() -> None:
    stack = declared()
    same = replace(
        ONE,
        ports={"admin": 81, "http": 80},
        env={"B": "2", "A": "1"},
        publish=("admin", "http"),
        ready=object(),
    )
    other = replace(stack, instances=(*reversed(OTHERS), same), memory_mib=1)
    assert fingerprint(other, dict(reversed(TAGS.items()))) == fingerprint(stack, TAGS)
    assert len(fingerprint(stack, TAGS)) == 16
    int(fingerprint(stack, TAGS), 16)
