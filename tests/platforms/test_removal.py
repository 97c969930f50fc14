"""What is removed with a run, on an engine that refuses: Docker's own words, without Docker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from blackstart.model.errors import PlatformError
from blackstart.platforms import docker as module
from blackstart.platforms.capabilities import is_left
from blackstart.platforms.docker import DockerPlatform


def refusal(status: int, why: str) -> APIError:
    class Answer:
        status_code = status

    return APIError("no", response=Answer(), explanation=why)  # type: ignore[arg-type]  # a fake


ENDPOINTS = refusal(403, "error while removing network: network blackstart-r1 has active endpoints")


class FakeNetwork:
    """Answers each removal with the next of `answers`, the last one for good; None lets it go."""

    name = "blackstart-r1"

    def __init__(self, *answers: Exception | None, containers: Mapping[str, Any] | None = None) -> None:
        self.answers = list(answers)
        self.attrs = {"Containers": dict(containers or {})}
        self.asked = 0

    def remove(self) -> None:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer

    def reload(self) -> None:
        pass


class FakeClient:
    """An engine with one network and nothing else."""

    def __init__(self, network: FakeNetwork) -> None:
        self.network = network

    @property
    def api(self) -> FakeClient:
        return self

    def containers(self, **_: Any) -> list[object]:
        return []

    @property
    def networks(self) -> Any:
        class Networks:
            list = staticmethod(lambda **_: [self.network])

        return Networks

    @property
    def volumes(self) -> Any:
        class Volumes:
            list = staticmethod(lambda **_: [])

        return Volumes

    def info(self) -> dict[str, Any]:
        return {"ID": "ABCD:EFGH"}


def remove(network: FakeNetwork) -> list[str]:
    return DockerPlatform(FakeClient(network)).remove_run("r1")  # type: ignore[arg-type]  # a fake


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENDPOINTS", 0.0)


@pytest.mark.parametrize("answer", [None, NotFound("gone")])
def test_a_network_goes(answer: Exception | None) -> None:
    assert remove(FakeNetwork(answer)) == ["blackstart-r1"]


def test_endpoints_that_go_a_moment_later_are_waited_for() -> None:
    network = FakeNetwork(ENDPOINTS, None)
    assert remove(network) == ["blackstart-r1"]
    assert network.asked == 2


@pytest.mark.usefixtures("impatient")
def test_endpoints_that_are_not_there_are_no_error_but_said() -> None:
    (name,) = remove(FakeNetwork(ENDPOINTS))
    assert is_left(name)
    assert name.startswith("blackstart-r1 (left: the engine counts endpoints that are not there")


@pytest.mark.usefixtures("impatient")
def test_a_network_with_containers_is_an_error() -> None:
    with pytest.raises(PlatformError, match=r"blackstart-r1 to be gone.*has active endpoints"):
        remove(FakeNetwork(ENDPOINTS, containers={"1": {"Name": "stranger"}}))


@pytest.mark.usefixtures("impatient")
def test_any_other_refusal_is_an_error() -> None:
    with pytest.raises(PlatformError, match="out of order"):
        remove(FakeNetwork(refusal(500, "out of order")))


def test_an_engine_is_told_by_its_id() -> None:
    client = FakeClient(FakeNetwork(None))
    assert DockerPlatform(client).engine_id() == "ABCD:EFGH"  # type: ignore[arg-type]  # a fake
