"""What is archived by whom: a primary pushes, a standby keeps what the repository lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from .programs import BACKREST, Programs

SCRIPTS = Path(__file__).parents[2] / "sut" / "postgres"
SEGMENT = "0000000100000000000000A1"
SIZE = 64


class Node:
    """A data directory with a segment to archive."""

    def __init__(self, folder: Path) -> None:
        self.programs = Programs(folder, {"pgbackrest": BACKREST, "sleep": ""})
        self.data = folder / "data"
        self.flags = folder / "flags"
        self.flags.mkdir()
        (self.data / "pg_wal").mkdir(parents=True)
        (self.data / "postmaster.pid").write_text("\n".join(["1"] * 7 + ["ready   "]) + "\n")
        self.write(SEGMENT)

    def write(self, name: str, text: str = "w" * SIZE) -> None:
        (self.data / "pg_wal" / name).write_text(text)

    def be_standby(self) -> None:
        (self.data / "standby.signal").touch()

    def archive(self, name: str = SEGMENT) -> int:
        """The exit status of the archive_command."""
        script = SCRIPTS / "pgbackrest-push.sh"
        done = self.programs.run(
            script, f"pg_wal/{name}", cwd=self.data, FLAGS=str(self.flags), SETTLED_S="0", GIVE_UP_S="2"
        )
        return done.returncode

    @property
    def kept(self) -> list[str]:
        """What the repository has."""
        return sorted(path.name for path in (self.programs.folder / "repository").iterdir())

    @property
    def pushed(self) -> list[str]:
        return [call for call in self.programs.calls if "archive-push" in call]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_primary_pushes(node: Node) -> None:
    assert node.archive() == 0
    assert node.kept == [SEGMENT]


def test_a_push_that_fails_is_no_success_whatever_pgbackrest_ends_with(node: Node) -> None:
    (node.programs.folder / "broken").write_text("82")
    assert node.archive() == 1


@pytest.mark.parametrize("signal", ["standby.signal", "recovery.signal"])
def test_a_standby_pushes_nothing_and_keeps_what_the_repository_lacks(node: Node, signal: str) -> None:
    (node.data / signal).touch()
    assert node.archive() == 1
    assert node.kept == []
    assert node.pushed == []


def test_a_standby_lets_go_what_the_repository_has_byte_by_byte(node: Node) -> None:
    node.be_standby()
    (node.programs.folder / "repository" / SEGMENT).write_text("w" * SIZE)
    assert node.archive() == 0
    (node.programs.folder / "repository" / SEGMENT).write_text("v" * SIZE)
    assert node.archive() == 1
    assert node.pushed == []


def test_a_standby_that_is_promoted_pushes_what_it_kept(node: Node) -> None:
    node.be_standby()
    node.programs.put("sleep", f'rm -f "{node.data}/standby.signal"')
    assert node.archive() == 0
    assert node.kept == [SEGMENT]


def test_a_standby_that_is_told_to_stop_does_not_wait_for_the_repository(node: Node) -> None:
    node.be_standby()
    (node.data / "postmaster.pid").write_text("\n".join(["1"] * 7 + ["stopping"]) + "\n")
    assert node.archive() == 1
    assert node.programs.calls == []


def test_what_a_standby_alone_has_from_when_it_was_primary_is_pushed(node: Node) -> None:
    node.be_standby()
    node.write(f"{SEGMENT}.partial")
    assert node.archive(f"{SEGMENT}.partial") == 0
    assert node.kept == [f"{SEGMENT}.partial"]


@pytest.mark.parametrize(
    ("left", "code"),
    [
        (0xA1 * SIZE + 1, 0),  # in the segment: what follows is of the new timeline
        (0xA0 * SIZE, 0),  # before it
        (0xA2 * SIZE, 1),  # at its end: it is wholly of the history
        (0xB0 * SIZE, 1),
    ],
)
def test_a_segment_behind_the_point_where_its_timeline_was_left_is_not_asked_for_for_ever(
    node: Node, left: int, code: int
) -> None:
    node.be_standby()
    node.write("00000002.history", "1\t0/10\tno recovery target specified\n")
    node.write("00000003.history", f"1\t0/{left:X}\tno recovery target specified\n\n2\t1/0\twhatever\n")
    assert node.archive() == code
    assert node.pushed == []


def test_a_history_is_never_behind_such_a_point(node: Node) -> None:
    node.be_standby()
    node.write("00000002.history", "1\t0/10\tno recovery target specified\n")
    assert node.archive("00000002.history") == 1


def test_with_archiving_off_every_node_says_yes_and_keeps_nothing(node: Node) -> None:
    (node.flags / "no-archiving").touch()
    assert node.archive() == 0
    node.be_standby()
    assert node.archive() == 0
    assert node.programs.calls == []


def test_with_a_hole_a_standby_says_yes_and_a_primary_pushes(node: Node) -> None:
    (node.flags / "no-archive-on-standby").touch()
    assert node.archive() == 0
    assert node.kept == [SEGMENT]
    node.be_standby()
    node.write("0000000100000000000000A2")
    assert node.archive("0000000100000000000000A2") == 0
    assert node.kept == [SEGMENT]


def looked(node: Node) -> dict[str, float]:
    """The metrics of one look."""
    told = node.programs.folder / "metrics"
    done = node.programs.run(
        SCRIPTS / "archive-metrics.sh",
        cwd=node.data,
        PGDATA=str(node.data),
        METRICS=str(told),
        LOOKS="1",
    )
    assert done.returncode == 0, done.stderr
    return {name: float(value) for name, value in (line.split() for line in told.read_text().splitlines())}


def test_metrics_count_what_waits_and_name_what_is_said_to_be_archived(node: Node) -> None:
    status = node.data / "pg_wal" / "archive_status"
    status.mkdir()
    told = looked(node)
    assert told == {
        "postgres_archive_pending_segments": 0,
        "postgres_archive_pending_age_seconds": 0,
        "postgres_in_recovery": 0,
    }
    for name in ("000000010000000200000003.done", "0000000100000002000000FF.done", "00000002.history.done"):
        (status / name).touch()
    for name in ("000000010000000300000000.ready", "000000010000000300000001.ready"):
        (status / name).touch()
    node.be_standby()
    told = looked(node)
    assert told["postgres_archive_pending_segments"] == 2
    assert told["postgres_archive_pending_age_seconds"] < 60
    assert told["postgres_in_recovery"] == 1
    assert told["postgres_archived_segment"] == (2 << 16) + 0xFF
