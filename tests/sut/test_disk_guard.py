"""The guard of Postgres' disk, with stand-ins for the programs that it calls."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

GUARD = Path(__file__).parents[2] / "sut" / "postgres" / "disk-guard.sh"
TAGS = "tags:\n  nofailover: false\n  nosync: false\n"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder with Patroni's configuration, and programs that write down how they are called."""
    programs = {
        "stat": 'cat "$FOLDER/room"',
        "psql": 'cat "$FOLDER/in_recovery"',
        "pkill": 'echo "pkill $*" >> "$FOLDER/calls"',
        "python3": 'echo "switchover from $2" >> "$FOLDER/calls"; exit "$(cat "$FOLDER/answer")"',
    }
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "patroni.yml").write_text(TAGS)
    (tmp_path / "in_recovery").write_text("f\n")
    (tmp_path / "answer").write_text("0\n")
    return tmp_path


def looks(node: Path, free_kib: int, count: int = 2) -> list[str]:
    """What the guard does in so many looks at a disk with so much room."""
    (node / "room").write_text(f"{free_kib} * 1024 / 1024\n")
    (node / "calls").write_text("")
    settings = {
        "PATH": f"{node}:{os.environ['PATH']}",
        "FOLDER": str(node),
        "PATRONI_NAME": "pg-1",
        "PATRONI_YML": str(node / "patroni.yml"),
        "SWITCH": str(node / "off"),
        "LOOKS": str(count),
        "LOOK_S": "0",
        "AGAIN_S": "0",
    }
    subprocess.run(["sh", str(GUARD)], env=settings, check=True, timeout=10)
    return (node / "calls").read_text().splitlines()


def tags(node: Path) -> str:
    return (node / "patroni.yml").read_text()


def test_a_disk_with_room_is_left_alone(node: Path) -> None:
    assert looks(node, 40_000, count=3) == []
    assert tags(node) == TAGS


def test_a_primary_whose_disk_stays_full_is_tagged_and_hands_over(node: Path) -> None:
    assert looks(node, 0) == ["pkill -HUP -x patroni", "switchover from pg-1"]
    assert tags(node) == TAGS.replace("false", "true")


def test_one_look_is_not_enough(node: Path) -> None:
    assert looks(node, 0, count=1) == []
    assert tags(node) == TAGS


def test_a_standby_is_tagged_and_hands_nothing_over(node: Path) -> None:
    (node / "in_recovery").write_text("t\n")
    assert looks(node, 0, count=3) == ["pkill -HUP -x patroni"]
    assert tags(node) == TAGS.replace("false", "true")


def test_the_tags_go_when_there_is_room_again(node: Path) -> None:
    looks(node, 0)
    assert looks(node, 40_000, count=1) == [], "a disk that hovers about the limit keeps them"
    assert looks(node, 70_000, count=1) == ["pkill -HUP -x patroni"]
    assert tags(node) == TAGS


def test_a_refusal_is_tried_again(node: Path) -> None:
    (node / "answer").write_text("1\n")
    assert looks(node, 0, count=3).count("switchover from pg-1") == 2


def test_switched_off_it_looks_at_nothing(node: Path) -> None:
    (node / "off").touch()
    assert looks(node, 0, count=3) == []


def test_patroni_starts_with_the_tags_that_the_guard_sets() -> None:
    assert TAGS in (GUARD.parent / "entrypoint.sh").read_text()
