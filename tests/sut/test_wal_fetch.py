"""What Postgres is told of a segment that it asks the repository for."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from .programs import BACKREST, Programs

SCRIPT = Path(__file__).parents[2] / "sut" / "postgres" / "pgbackrest-fetch.sh"
SEGMENT = "0000000100000000000000A1"


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    found = Programs(tmp_path, {"pgbackrest": BACKREST, "sleep": ""})
    (tmp_path / "data").mkdir()
    (tmp_path / "memory").mkdir()
    return found


def fetch(programs: Programs, name: str = SEGMENT) -> int:
    data = programs.folder / "data"
    memory = str(programs.folder / "memory")
    return programs.run(SCRIPT, name, "got", cwd=data, TRIES="3", MEMORY=memory).returncode


def be_standby(programs: Programs) -> None:
    (programs.folder / "data" / "standby.signal").touch()


def break_repository(programs: Programs, code: int) -> None:
    (programs.folder / "broken").write_text(str(code))


def forget(programs: Programs) -> None:
    """What happened was a minute ago."""
    for path in (programs.folder / "memory").iterdir():
        os.utime(path, (time.time() - 60,) * 2)


@pytest.mark.parametrize("standby", [False, True])
def test_what_is_there_is_fetched(programs: Programs, standby: bool) -> None:
    if standby:
        be_standby(programs)
    (programs.folder / "repository" / SEGMENT).write_text("wal")
    assert fetch(programs) == 0
    assert (programs.folder / "data" / "got").read_text() == "wal"


def test_a_recovery_is_told_that_the_archive_ends_only_if_it_does(programs: Programs) -> None:
    assert fetch(programs) == 1
    assert sum("archive-get" in call for call in programs.calls) == 1
    assert list((programs.folder / "data").iterdir()) == []


@pytest.mark.parametrize("name", [SEGMENT, f"{SEGMENT}.partial"])
def test_what_was_received_as_it_was_written_stands_in_for_what_is_not_archived_yet(
    programs: Programs, name: str
) -> None:
    received = programs.folder / "repository" / "received"
    received.mkdir()
    (received / name).write_text("received")
    assert fetch(programs) == 0
    assert (programs.folder / "data" / "got").read_text() == "received"
    (programs.folder / "repository" / SEGMENT).write_text("archived")
    assert fetch(programs) == 0
    assert (programs.folder / "data" / "got").read_text() == "archived"


def test_a_recovery_is_aborted_rather_than_cut_short(programs: Programs) -> None:
    break_repository(programs, 49)
    assert fetch(programs) > 125
    assert len(programs.calls) == 3


def test_a_standby_leaves_a_silent_repository_alone_for_a_while(programs: Programs) -> None:
    be_standby(programs)
    break_repository(programs, 49)
    assert fetch(programs) == 1
    assert fetch(programs, "00000002.history") == 1
    assert len(programs.calls) == 1
    forget(programs)
    assert fetch(programs) == 1
    assert len(programs.calls) == 2


def test_a_standby_does_not_ask_for_the_same_file_all_the_time(programs: Programs) -> None:
    be_standby(programs)
    assert fetch(programs) == 1
    assert fetch(programs) == 1
    assert len(programs.calls) == 1
    assert fetch(programs, "00000002.history") == 1
    assert len(programs.calls) == 2, "another file is asked for at once: a promotion waits for it"
    forget(programs)
    assert fetch(programs) == 1
    assert len(programs.calls) == 3
