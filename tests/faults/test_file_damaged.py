"""A file loses bytes, or is gone, for a while: tried with the files of a folder, by the very commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blackstart.faults import Fault, Undo, file_corrupted, file_removed
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from tests.faults.fakes import FakeSite, site
from tests.faults.test_file_replaced import here


@pytest.fixture
def running() -> FakeSite:
    made = site()
    made.platform.answer = here
    return made


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A folder as of a backup: a large file, a small one, and a link to the folder."""
    folder = tmp_path / "20260101-000000F" / "pg_data"
    folder.mkdir(parents=True)
    (folder / "large").write_bytes(bytes(range(256)) * 8)
    (folder / "small").write_bytes(b"x" * 100)
    (tmp_path / "latest").symlink_to(folder.parent)
    return folder


def planned(fault: Fault, running: FakeSite) -> Undo:
    """The plan as another process reads it."""
    return Undo.from_dict(json.loads(json.dumps(fault.plan(running).to_dict())))


def test_the_largest_file_of_a_folder_is_corrupted_in_its_middle_and_nowhere_else(
    running: FakeSite, backup: Path
) -> None:
    large, before = backup / "large", (backup / "large").read_bytes()
    fault = file_corrupted("app-1", str(backup.parents[1] / "latest"))
    undo = planned(fault, running)
    assert fault.undone(undo, running.platform) is None
    fault.inject(running, undo)
    bite = fault.bite(running, undo)
    assert "16 bytes of" in bite and bite.endswith("are inverted, from 1024")
    after = large.read_bytes()
    assert len(after) == len(before)
    assert [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == list(
        range(1024, 1040)
    )
    assert (backup / "small").read_bytes() == b"x" * 100
    for _ in range(2):
        fault.undo(undo, running.platform)
        assert large.read_bytes() == before, "twice undone is undone"
    assert fault.undone(undo, running.platform) is None


def test_a_file_that_is_restored_by_somebody_has_not_that_effect_any_more(
    running: FakeSite, backup: Path
) -> None:
    before = (backup / "large").read_bytes()
    fault = file_corrupted("app-1", str(backup / "large"))
    undo = planned(fault, running)
    with pytest.raises(BiteError, match="is as it was"):
        fault.bite(running, undo)
    fault.inject(running, undo)
    (backup / "large").write_bytes(before)
    with pytest.raises(BiteError, match="is as it was"):
        fault.bite(running, undo)
    fault.undo(undo, running.platform)


def test_a_removed_file_is_the_one_that_the_pattern_means_and_comes_back(
    running: FakeSite, backup: Path
) -> None:
    fault = file_removed("app-1", f"{backup.parents[1]}/*/pg_data/sma*")
    undo = planned(file_removed("app-1", f"{backup}/sma*"), running)
    with pytest.raises(InjectionError, match=r"must match one file; it matches .*small, .*small"):
        fault.plan(running)  # by the link as well
    fault.inject(running, undo)
    assert fault.bite(running, undo) == f"bs-r1-app-1 has no {backup / 'small'}"
    assert [file.name for file in backup.iterdir() if not file.name.startswith(".")] == ["large"]
    assert "is gone" in str(fault.undone(undo, running.platform))
    for _ in range(2):
        fault.undo(undo, running.platform)
        assert (backup / "small").read_bytes() == b"x" * 100
    assert sorted(file.name for file in backup.iterdir()) == ["large", "small"]


@pytest.mark.parametrize("make", [file_corrupted, file_removed])
def test_the_helper_at_its_place_puts_it_right(running: FakeSite, backup: Path, make: object) -> None:
    before = (backup / "large").read_bytes()
    assert callable(make)
    fault = make("app-1", str(backup / "large"))
    undo = planned(fault, running)
    fault.inject(running, undo)
    [command] = undo.expiry.values()
    assert here("", command).code == 0
    assert (backup / "large").read_bytes() == before


def test_what_is_not_there_or_too_small_is_refused(running: FakeSite, backup: Path) -> None:
    with pytest.raises(InjectionError, match="no file of 64 bytes"):
        file_corrupted("app-1", str(backup / "none")).plan(running)
    (backup / "tiny").write_bytes(b"x")
    with pytest.raises(InjectionError, match="no file of 64 bytes"):
        file_corrupted("app-1", str(backup / "tiny")).plan(running)
    with pytest.raises(InjectionError, match="it matches no file"):
        file_removed("app-1", f"{backup}/none*").plan(running)


def test_parameters_that_mean_nothing_are_refused() -> None:
    for wrong in (
        lambda: file_corrupted("app-1", "backup"),
        lambda: file_corrupted("app-1", "/backup", length=0),
        lambda: file_corrupted("app-1", "/backup", length=33),
        lambda: file_removed("app-1", "backup"),
        lambda: file_removed("app-1", "/backup/"),
    ):
        with pytest.raises(ConfigError):
            wrong()
