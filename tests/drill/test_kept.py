"""Stacks that were left running: each is found by its name, and only if it is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from blackstart.drill import kept
from blackstart.model.errors import ConfigError
from blackstart.model.stack import Stack
from blackstart.platforms.capabilities import Container
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.running import RunningStack
from tests import smallstack

TAGS = {"smallweb": "blackstart/smallweb:1", "toxiproxy": "blackstart/toxiproxy:1"}
OTHER = replace(smallstack.stack, name="an other")


class Engine:
    """Has the containers of these runs of the small stack."""

    def __init__(self, *runs: str) -> None:
        self.runs = set(runs)

    def list(self, run_id: str) -> list[Container]:
        if run_id not in self.runs:
            return []
        names = [f"bs-{run_id}-{i.name}{part}" for i in smallstack.stack.instances for part in ("", "-net")]
        names.append(f"bs-{run_id}-disks")
        return [Container(name, run_id, "", "", "", "", "", "running", "", {}) for name in names]

    def bindings(self, name: str) -> dict[int, int]:
        return {}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))


def engine(*runs: str) -> DockerPlatform:
    return cast(DockerPlatform, Engine(*runs))


def leave(stack: Stack, run_id: str) -> None:
    kept.remember(RunningStack(stack, run_id, engine(), {}), TAGS)


def test_several_stacks_may_be_left_running() -> None:
    leave(smallstack.stack, "r1")
    leave(OTHER, "r2")
    there = engine("r1", "r2")
    for stack, run_id in ((smallstack.stack, "r1"), (OTHER, "r2")):
        found = kept.find(stack, there, TAGS)
        assert found is not None
        assert (found.stack.name, found.run_id) == (stack.name, run_id)
    assert kept.remembered() == {"an other": "r2", "small": "r1"}
    assert kept.others(OTHER, there) == {"small": "r1"}


def test_one_that_is_gone_is_forgotten_and_the_other_is_not() -> None:
    leave(smallstack.stack, "r1")
    leave(OTHER, "r2")
    assert kept.others(OTHER, engine("r2")) == {}
    assert kept.find(smallstack.stack, engine("r2")) is None
    assert kept.remembered() == {"an other": "r2"}


def test_one_made_from_other_files_is_refused_by_its_run() -> None:
    leave(smallstack.stack, "r1")
    with pytest.raises(ConfigError, match="blackstart down r1"):
        kept.find(smallstack.stack, engine("r1"), {**TAGS, "smallweb": "blackstart/smallweb:2"})


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    leave(smallstack.stack, "r1")
    for torn in ("", "[]", '{"stack": "small"}'):
        (tmp_path / "kept" / "small.json").write_text(torn)
        assert kept.find(smallstack.stack, engine("r1")) is None
        assert kept.remembered() == {}
