"""The journal survives crashes, and knows what is in force."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blackstart.faults import Undo, kill
from blackstart.injection.journal import Journal
from blackstart.injection.state import RunRecord, boot_id, runs, state_dir, state_root
from blackstart.model.errors import ConfigError, InjectionError

FAULT = kill("app-1", max_duration="2m").to_dict()


def undo(target: str = "bs-r1-app-1") -> Undo:
    return Undo("kill", "r1", (target,), {"process": None, "pids": {}}, f"docker start {target}")


def test_what_is_recorded_is_in_force_for_another_reader_until_it_is_closed() -> None:
    one, two = Journal("r1").record(FAULT, undo("a")), Journal("r1").record(FAULT, undo("b"))
    found = Journal("r1").in_force()
    assert [e.id for e in found] == [two, one], "newest first"
    assert found[1].undo == replace(undo("a"), id=found[1].undo.id)
    assert found[0].fault == FAULT
    assert found[0].boot_id == boot_id()
    assert -121 < found[0].overdue_s < -119
    Journal("r1").close(two)
    assert [e.id for e in Journal("r1").in_force()] == [one]


def test_every_entry_is_on_disk_before_the_call_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(os.fstat(handle).st_size)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    journal = Journal("r1")
    entry = journal.record(FAULT, undo())
    assert len(synced) == 2, "the file and its folder"
    assert synced[0] == journal.path.stat().st_size
    journal.close(entry)
    assert len(synced) == 3


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_last_line_is_ignored_and_does_not_tear_the_next(cut: int) -> None:
    journal = Journal("r1")
    first = journal.record(FAULT, undo("a"))
    journal.record(FAULT, undo("b"))
    os.truncate(journal.path, journal.path.stat().st_size - cut - 1)
    assert [e.id for e in journal.in_force()] == [first]
    third = journal.record(FAULT, undo("c"))
    assert [e.id for e in journal.in_force()] == [third, first]


def test_a_journal_that_cannot_be_written_injects_nothing(state: Path) -> None:
    state.mkdir()
    (state / "r1").write_text("a file where the folder should be")
    with pytest.raises(InjectionError, match="nothing injected"):
        Journal("r1").record(FAULT, undo())


def test_a_full_disk_injects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(InjectionError, match="No space left"):
        Journal("r1").record(FAULT, undo())


@pytest.mark.parametrize("bad", ["", "..", "a/b", "../x"])
def test_a_run_id_is_a_plain_name(bad: str) -> None:
    with pytest.raises(ConfigError, match="not a run id"):
        state_dir(bad)


def test_runs_are_those_that_left_something(state: Path) -> None:
    assert runs() == ()
    Journal("r2").record(FAULT, undo())
    RunRecord("r1", 1, boot_id(), True).write()
    (state / "locks").mkdir()
    assert runs() == ("r1", "r2")
    assert RunRecord.read("r1") == RunRecord("r1", 1, boot_id(), True)
    assert RunRecord.read("r2") is None


def test_the_state_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BLACKSTART_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert state_root() == Path("/x/blackstart")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state_root() == Path.home() / ".local" / "state" / "blackstart"
