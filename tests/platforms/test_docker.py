"""The Docker platform does to containers what it says, and to ours only."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from blackstart.model.errors import CapabilityMissing, PlatformError
from blackstart.platforms.capabilities import CAPABILITIES, require
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.launch import free_ports
from blackstart.platforms.waiting import wait_for
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack

pytestmark = pytest.mark.integration


@pytest.fixture
def web(small: RunningStack) -> Iterator[str]:
    """A container of the small stack, mended afterwards."""
    yield small.container("web-1")
    reset(small, "30s")


def test_has_every_capability_and_another_thing_has_none(platform: DockerPlatform) -> None:
    require(platform, *CAPABILITIES)
    with pytest.raises(CapabilityMissing, match="object cannot kill"):
        require(object(), "kill")


def test_kill_and_start(platform: DockerPlatform, web: str) -> None:
    platform.kill(web)
    assert not platform.is_running(web)
    platform.kill(web)
    platform.start(web)
    platform.start(web)
    assert platform.is_running(web)


def test_freeze_and_go_on(platform: DockerPlatform, web: str) -> None:
    platform.pause(web)
    platform.pause(web)
    assert platform.is_paused(web)
    with pytest.raises(PlatformError, match="paused"):
        platform.exec(web, ["true"])
    platform.unpause(web)
    platform.unpause(web)
    assert not platform.is_paused(web)


def test_a_frozen_container_can_be_killed(platform: DockerPlatform, web: str) -> None:
    platform.pause(web)
    platform.kill(web)
    assert not platform.is_running(web)


def test_commands(platform: DockerPlatform, web: str) -> None:
    done = platform.exec(web, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.code, sorted(done.output.split())) == (3, ["err", "out"])
    with pytest.raises(PlatformError, match=r"took longer than 0\.5 s"):
        platform.exec(web, ["sleep", "60"], timeout=0.5)


def test_nothing_of_what_a_command_says_is_lost_by_a_busy_client(platform: DockerPlatform, web: str) -> None:
    # Whoever is held up finds the head of the answer and the output together.
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(range(1000))

    with ThreadPoolExecutor(11) as pool:
        for _ in range(3):
            pool.submit(burn)
        try:
            said = list(pool.map(lambda n: platform.exec(web, ["echo", f"said {n}"]).output, range(200)))
        finally:
            stop.set()
    assert said == [f"said {n}\n" for n in range(200)]


def test_processes_are_found_and_killed_by_name(platform: DockerPlatform, web: str) -> None:
    assert platform.pids(web, "nonesuch") == []
    assert platform.signal_process(web, "nonesuch", "KILL") == []
    pids = platform.pids(web, "web")
    assert pids
    assert platform.signal_process(web, "web", "KILL") == pids
    wait_for(
        "the container to end with its process", lambda: not platform.is_running(web) or None, limit="5s"
    )


def test_a_stopped_process_is_alive(platform: DockerPlatform, web: str) -> None:
    hit = platform.signal_process(web, "web", "STOP")
    assert platform.pids(web, "web") == hit
    assert platform.signal_process(web, "web", "SIGCONT") == hit


def test_logs_of_a_window(platform: DockerPlatform, web: str) -> None:
    assert "serves" in platform.logs(web)
    assert platform.logs(web, since=time.time() + 60) == ""
    assert len(platform.logs(web, tail=1).splitlines()) == 1


def test_what_a_run_left_is_listed_with_its_labels(platform: DockerPlatform, small: RunningStack) -> None:
    found = {c.name: c for c in platform.list(small.run_id)}
    assert len(found) == 2 * len(small.stack.instances) + 1, "and the keeper of the disks"
    sidecar = found[small.sidecar("web-2")]
    assert (sidecar.stack, sidecar.service, sidecar.zone) == ("small", "web", "b")
    assert (sidecar.instance, sidecar.part, sidecar.status) == ("web-2", "sidecar", "running")
    assert sidecar.ports == platform.bindings(sidecar.name) == small.ports["web-2"]
    assert small.run_id in platform.runs()


def test_what_is_not_ours_is_not_touched(platform: DockerPlatform, small: RunningStack) -> None:
    image = platform.inspect(small.container("web-1"))["Config"]["Image"]
    stranger = platform.client.containers.create(image, name=f"stranger-{small.run_id}")
    try:
        for act in (platform.kill, platform.start, platform.pause, platform.logs, platform.inspect):
            with pytest.raises(PlatformError, match=f"stranger-{small.run_id} is not ours"):
                act(f"stranger-{small.run_id}")
    finally:
        stranger.remove(force=True)


def test_a_container_that_is_not_there(platform: DockerPlatform) -> None:
    with pytest.raises(PlatformError, match="No such container"):
        platform.kill("bs-none-web-1")


def test_ports_are_free_and_below_the_ephemeral_range() -> None:
    ports = free_ports([80, 443, 8474])
    assert len(set(ports.values())) == 3
    assert all(20_000 <= p < 32_000 for p in ports.values())
