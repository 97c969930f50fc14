"""The engine: which one is taken, which is refused, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blackstart.model.errors import ConfigError, PlatformError
from blackstart.platforms import engine


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", engine.ALLOW_REMOTE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("address", ["tcp://10.1.2.3:2375", "ssh://ops@prod", "tcp://127.example.org:2375"])
def test_a_remote_engine_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(ConfigError, match="on another host; set BLACKSTART_ALLOW_REMOTE=1"):
        engine.endpoint()


def test_a_remote_engine_is_taken_if_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.1.2.3:2375")
    monkeypatch.setenv(engine.ALLOW_REMOTE, "1")
    assert engine.endpoint() == "tcp://10.1.2.3:2375"


@pytest.mark.parametrize("address", ["unix:///run/x.sock", "tcp://127.0.0.1:2375", "tcp://localhost:2375"])
def test_a_local_address_is_taken(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert engine.endpoint() == address


def test_without_a_setting_the_first_socket_there_is_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "docker.sock"
    there.touch()
    monkeypatch.setattr(engine, "sockets", lambda: (tmp_path / "none.sock", there))
    assert engine.endpoint() == f"unix://{there}"


def test_no_engine_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(PlatformError, match=r"(?s)no Docker engine answers at unix://.*make setup"):
        engine.connect()


class FakeClient:
    def __init__(self, **info: Any) -> None:
        self._info = info

    def info(self) -> dict[str, Any]:
        return self._info


def test_too_little_room_names_all_that_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "room", lambda _: (100, 200))
    with pytest.raises(PlatformError) as caught:
        engine.check_room(1000, 2000, client=FakeClient())  # type: ignore[arg-type]  # a fake
    assert "memory: 100 MiB free, 1000 MiB needed" in str(caught.value)
    assert "disk: 200 MiB free, 2000 MiB needed" in str(caught.value)


def test_room_that_cannot_be_told_does_not_stop_a_run() -> None:
    elsewhere = FakeClient(MemTotal=8 << 30, Name="a-machine-of-its-own", DockerRootDir="/var/lib/docker")
    assert engine.room(elsewhere) == (8192, None)  # type: ignore[arg-type]  # a fake
    engine.check_room(1024, 10**9, client=elsewhere)  # type: ignore[arg-type]  # a fake
