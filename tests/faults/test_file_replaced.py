"""A file is another one for a while: tried with the files of a folder, by the very commands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from blackstart.faults import Undo, file_replaced
from blackstart.faults.file_replaced import FileReplaced
from blackstart.model.errors import BiteError, InjectionError, PlatformError
from blackstart.platforms.capabilities import ExecResult
from tests.faults.fakes import FakeSite, site


def here(name: str, cmd: Sequence[str]) -> ExecResult:
    """What a container would do, done here."""
    done = subprocess.run(list(cmd), capture_output=True, text=True, timeout=10, check=False)
    return ExecResult(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def running() -> FakeSite:
    made = site()
    made.platform.answer = here
    return made


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A file in force that only its owner may read, and another that anybody may."""
    path, by = tmp_path / "tls.pem", tmp_path / "next.pem"
    path.write_text("good")
    path.chmod(0o600)
    by.write_text("expired")
    return path, by


def planned(fault: FileReplaced, running: FakeSite) -> Undo:
    """The plan as another process reads it."""
    return Undo.from_dict(json.loads(json.dumps(fault.plan(running).to_dict())))


def test_a_file_is_replaced_told_of_and_put_back(running: FakeSite, files: tuple[Path, Path]) -> None:
    path, by = files
    told = path.parent / "told"
    fault = file_replaced("app-1", str(path), str(by), then=f"cat {path} >> {told}; echo >> {told}")
    undo = planned(fault, running)
    fault.inject(running, undo)
    assert fault.bite(running, undo) == f"bs-r1-app-1: {path} is what {by} is"
    assert path.read_text() == "expired"
    assert path.stat().st_mode & 0o777 == 0o600, "nobody else may read it now"
    assert FileReplaced.undone(undo, running.platform) is not None
    FileReplaced.undo(undo, running.platform)
    assert path.read_text() == "good"
    assert FileReplaced.undone(undo, running.platform) is None
    FileReplaced.undo(undo, running.platform)
    assert told.read_text().split() == ["expired", "good", "good"]
    assert sorted(each.name for each in path.parent.iterdir()) == ["next.pem", "tls.pem", "told"]


def test_what_was_only_planned_is_undone_by_nothing(running: FakeSite, files: tuple[Path, Path]) -> None:
    path, by = files
    undo = planned(file_replaced("app-1", str(path), str(by)), running)
    assert FileReplaced.undone(undo, running.platform) is None
    FileReplaced.undo(undo, running.platform)
    assert path.read_text() == "good"


def test_the_helper_at_its_place_puts_it_back(running: FakeSite, files: tuple[Path, Path]) -> None:
    path, by = files
    fault = file_replaced("app-1", str(path), str(by))
    undo = planned(fault, running)
    fault.inject(running, undo)
    [command] = undo.expiry.values()
    assert here("", command).code == 0
    assert path.read_text() == "good"


def test_a_file_that_is_not_there_is_named(running: FakeSite, files: tuple[Path, Path]) -> None:
    path, by = files
    with pytest.raises(InjectionError, match=f"bs-r1-app-1 has no file {by}.old"):
        file_replaced("app-1", str(path), f"{by}.old").plan(running)


def test_a_service_that_does_not_take_it_is_no_injection(running: FakeSite, files: tuple[Path, Path]) -> None:
    path, by = files
    fault = file_replaced("app-1", str(path), str(by), then="echo not like this; exit 1")
    undo = planned(fault, running)
    with pytest.raises(PlatformError, match="not like this"):
        fault.inject(running, undo)


def test_another_content_is_no_bite(running: FakeSite, files: tuple[Path, Path]) -> None:
    path, by = files
    fault = file_replaced("app-1", str(path), str(by))
    with pytest.raises(BiteError, match="is not what"):
        fault.bite(running, planned(fault, running))


def test_no_record_holds_what_is_in_the_files(running: FakeSite, files: tuple[Path, Path]) -> None:
    path, by = files
    fault = file_replaced("app-1", str(path), str(by))
    assert "expired" not in json.dumps([fault.to_dict(), planned(fault, running).to_dict()])
