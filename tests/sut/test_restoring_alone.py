"""One program at a time handles the side cluster, and a restore that is under way is not verified away."""

from __future__ import annotations

from pathlib import Path

import pytest

from sut.postgres.restoring import __main__ as commands
from sut.postgres.restoring import account, base, server, side, verify
from sut.postgres.restoring.account import UnderWay
from sut.postgres.restoring.base import Failed, alone
from sut.postgres.restoring.repository import Copied
from sut.postgres.restoring.wanted import Wanted


def test_another_waits_until_it_is_done(tmp_path: Path) -> None:
    with (
        alone(tmp_path),
        pytest.raises(Failed, match="another restore or verification is under way"),
        alone(tmp_path, 0.1),
    ):
        pass
    with alone(tmp_path, 0.1):
        pass


def test_only_who_makes_or_drops_a_side_cluster_must_be_alone() -> None:
    assert set(commands.ALONE) < set(commands.COMMANDS)
    assert not {name for name in commands.COMMANDS if "cluster" in name and "repository" not in name} - set(
        commands.ALONE
    )


def test_a_restore_between_its_steps_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "RUN", tmp_path)
    monkeypatch.setattr(base, "FLAGS", tmp_path)
    monkeypatch.setattr(account, "_UNDER_WAY", tmp_path / "under-way.json")
    monkeypatch.setattr(server, "_PID", tmp_path / "postmaster.pid")
    monkeypatch.setattr(verify, "_VERIFIED", tmp_path / "verified.json")
    UnderWay(Wanted(), Copied("20260101-000000F", 1.5)).keep()
    assert commands.main(["verify-restore"]) == 1
    assert "a side cluster is in use here" in capsys.readouterr().err
    assert account.is_under_way()
    assert not (tmp_path / "verified.json").exists(), "what was verified last stays known"


def test_a_restored_cluster_whose_postgres_died_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").touch()
    for name in ("_UNDER_WAY", "_VERIFICATION", "_LAST"):
        monkeypatch.setattr(account, name, tmp_path / name)
    monkeypatch.setattr(server, "DATA", data)
    monkeypatch.setattr(server, "_PID", data / "postmaster.pid")
    for name in ("_VERIFIED", "_METRICS"):
        monkeypatch.setattr(verify, name, tmp_path / name)
    with pytest.raises(Failed, match="a side cluster is in use here"):
        verify.verify_restore([])
    assert server.holds_data()

    def fails(*_: object, **__: object) -> None:
        raise Failed("the repository does not answer")

    # What a verification that was killed has left is dropped by the next.
    monkeypatch.setattr(side, "copy", fails)
    account.note_verification(True)
    with pytest.raises(Failed, match="the repository does not answer"):
        verify.verify_restore([])
    assert not server.holds_data()
    assert not account.is_verification()
