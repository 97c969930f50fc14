"""A stack comes up as pods, is mended between drills, and leaves nothing behind."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import replace

import pytest
import requests

from blackstart.model.errors import PlatformError, ProvisionError, SteadyStateError
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.edges import restore
from blackstart.stack.images import tag_of
from blackstart.stack.provision import down, reset, steady, up
from blackstart.stack.running import RunningStack
from tests import smallstack

pytestmark = pytest.mark.integration


def _tags() -> dict[str, str]:
    return {image.name: tag_of(image) for image in smallstack.stack.images()}


def test_a_call_goes_through_the_callers_own_sidecar(small: RunningStack) -> None:
    edge = small.toxiproxy("web-1").proxy("store-1:6379")
    edge.disable()
    assert requests.get(small.url("web-1", "http", "/health/ready"), timeout=5).status_code == 503
    assert requests.get(small.url("web-2", "http", "/health/ready"), timeout=5).status_code == 200
    assert restore(small, "web-1") == ["web-1 -> store-1:6379"]
    assert requests.get(small.url("web-1", "http", "/health/ready"), timeout=5).status_code == 200
    assert restore(small, "web-1") == []


def test_a_toxic_is_removed_by_a_reset(small: RunningStack) -> None:
    small.toxiproxy("web-1").proxy("store-1:6379").add_toxic(type="latency", attributes={"latency": 5000})
    reset(small, "30s")
    assert not small.toxiproxy("web-1").proxy("store-1:6379").toxics()


def test_whatever_was_killed_frozen_or_cut_is_mended(small: RunningStack) -> None:
    platform = small.platform
    platform.kill(small.container("web-1"))
    platform.pause(small.container("web-2"))
    small.toxiproxy("web-2").proxy("store-1:6379").disable()
    platform.kill(small.sidecar("store-1"))
    reset(small, "30s")
    for name in ("web-1", "web-2"):
        assert requests.get(small.url(name, "http", "/count"), timeout=5).status_code == 200


def test_data_survives_a_kill(small: RunningStack) -> None:
    body = {"key": f"k-{secrets.token_hex(4)}", "id": "a"}
    requests.post(small.url("web-1", "http", "/write"), json=body, timeout=5).raise_for_status()
    small.platform.kill(small.container("store-1"))
    reset(small, "30s")
    read = requests.get(small.url("web-2", "http", f"/read/{body['key']}"), timeout=5).json()
    assert read["ids"] == ["a"]


def test_another_process_finds_the_stack(small: RunningStack) -> None:
    script = (
        "from blackstart.platforms.docker import DockerPlatform\n"
        "from blackstart.platforms.engine import connect\n"
        "from blackstart.stack.running import RunningStack\n"
        "from tests.smallstack import stack\n"
        f"found = RunningStack.find(stack, {small.run_id!r}, DockerPlatform(connect()))\n"
        "print(found.url('web-1', 'http'), found.exec('web-1', ['hostname']).output)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=smallstack.HERE.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [small.url("web-1", "http"), "web-1"]


def test_a_run_id_in_use_is_refused(small: RunningStack) -> None:
    with pytest.raises(ProvisionError, match="has containers already"):
        up(small.stack, small.run_id, small.platform, _tags(), print)
    assert len(small.platform.list(small.run_id)) == 2 * len(small.stack.instances) + 1, (
        "and the keeper of the disks"
    )


def test_a_container_that_dies_at_start_is_named_with_its_last_lines(
    small: RunningStack, platform: DockerPlatform
) -> None:
    dying = replace(small.stack.instance("web-2"), command=("sh", "-c", "echo I cannot go on; exit 7"))
    only = replace(small.stack, instances=(small.stack.instance("store-1"), dying))
    run_id = f"test-{secrets.token_hex(4)}"
    try:
        running = up(only, run_id, platform, _tags(), print)
        with pytest.raises(SteadyStateError, match=r"(?s)web-2 \(exited/running\).*I cannot go on"):
            steady(running, "30s")
    finally:
        down(run_id, platform)


def test_a_start_that_fails_leaves_nothing(small: RunningStack, platform: DockerPlatform) -> None:
    run_id = f"test-{secrets.token_hex(4)}"
    # Less memory than the engine lets a container have.
    broken = replace(small.stack.instance("web-1"), memory="1k")
    with pytest.raises(PlatformError, match=r"cannot start bs-.*-web-1"):
        up(small.stack.with_instances(broken), run_id, platform, _tags(), print)
    assert platform.list(run_id) == []
    assert run_id not in platform.runs()


def test_taking_down_what_is_not_there_is_no_error(platform: DockerPlatform) -> None:
    assert down("no-such-run", platform) == []
