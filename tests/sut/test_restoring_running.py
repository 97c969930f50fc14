"""The end of restores that go on where whoever called them is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sut.postgres.restoring import __main__ as commands
from sut.postgres.restoring import running
from sut.postgres.restoring.base import Failed, until


def test_a_program_is_noted_as_long_as_it_runs(tmp_path: Path) -> None:
    with running.noted(tmp_path):
        assert [note.name for note in tmp_path.iterdir()] == [f"{os.getpid()}.running"]
    assert not list(tmp_path.iterdir())


def test_a_restore_that_runs_is_ended_with_what_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "RUN", tmp_path)
    inner = f"import subprocess; subprocess.run(['sh', '-c', 'echo $$ > {tmp_path}/inner; exec sleep 60'])"
    program = subprocess.Popen([sys.executable, "-c", inner, "restoring"], start_new_session=True)
    try:
        until(
            "the inner program",
            lambda: None if (tmp_path / "inner").exists() and (tmp_path / "inner").read_text() else "none",
            10,
        )
        (tmp_path / f"{program.pid}.running").touch()
        running.end_restores([])
        assert program.wait(10) != 0
    finally:
        program.kill()
    assert capsys.readouterr().out == "1 programs were ended\n"
    assert not list(tmp_path.glob("*.running"))
    inner_pid = int((tmp_path / "inner").read_text())
    until("its end", lambda: "there" if b"sleep" in cmdline(inner_pid) else None, 10)


def cmdline(pid: int) -> bytes:
    """The words of a process; nothing if it is gone."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes() if path.exists() else b""


def test_another_process_of_that_number_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "RUN", tmp_path)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / f"{other.pid}.running").touch()
        running.end_restores([])
        assert other.poll() is None
    finally:
        other.kill()
    assert not list(tmp_path.iterdir())
    with pytest.raises(Failed, match="takes no arguments"):
        running.end_restores(["now"])


def test_what_is_noted_is_a_command() -> None:
    assert set(commands.NOTED) < set(commands.COMMANDS)
