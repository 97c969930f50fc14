"""`blackstart heal` and `blackstart down` on a platform in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from blackstart.cli.heal_cmd import down_command, heal_command
from blackstart.faults import freeze
from blackstart.injection.journal import Journal
from blackstart.injection.lock import RunLock
from blackstart.injection.state import RunRecord, boot_id, runs
from tests.faults.fakes import FakeSite, site


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSite:
    made = site()
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))
    monkeypatch.setattr("blackstart.platforms.engine.connect", lambda **_: None)
    monkeypatch.setattr("blackstart.platforms.docker.DockerPlatform", lambda _: made.platform)
    return made


def left_frozen(where: FakeSite) -> None:
    plan = freeze("app-1").plan(where)
    Journal("r1").record(freeze("app-1").to_dict(), plan)
    RunRecord("r1", 1, boot_id(), False).write()
    where.platform.pause("bs-r1-app-1")


def heal(*args: str, answer: str = "") -> Result:
    return CliRunner().invoke(heal_command, args, input=answer)


def down(*args: str, answer: str = "") -> Result:
    return CliRunner().invoke(down_command, args, input=answer)


def test_heal_says_what_it_undid_and_then_that_there_is_nothing(where: FakeSite) -> None:
    left_frozen(where)
    assert heal().output == "run r1: undone: freeze of bs-r1-app-1\n"
    assert heal().output == "nothing to heal\n"


def test_heal_exits_1_if_something_is_left(where: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    left_frozen(where)
    monkeypatch.setattr("blackstart.injection.heal.LIMIT_S", 0.3)
    where.platform.broken = True
    result = heal()
    assert result.exit_code == 1
    assert "undo by hand: docker unpause bs-r1-app-1" in result.output


@pytest.mark.parametrize("command", [heal, down])
def test_all_asks_first(where: FakeSite, command: object) -> None:
    where.platform.pause("bs-r1-app-1")
    assert callable(command)
    assert command("--all", answer="n\n").exit_code == 1
    assert where.platform.state["bs-r1-app-1"] == "paused"
    assert command("--all", "--yes").exit_code == 0
    assert where.platform.state.get("bs-r1-app-1") in ("running", None)


def test_down_removes_own_runs_that_are_over_and_names_the_others(where: FakeSite) -> None:
    result = down()
    assert result.output == "nothing to remove\nleft alone (name them, or --all): r1\n"
    left_frozen(where)
    assert down().output == "run r1: removed 6\n"
    assert where.platform.state == {}
    assert runs() == ()


def test_down_removes_a_run_that_is_named(where: FakeSite) -> None:
    assert down("r1").output == "run r1: removed 6\n"


def test_down_asks_before_it_takes_a_stack_from_a_live_run(where: FakeSite) -> None:
    left_frozen(where)
    with RunLock("r1"):
        assert "left alone" in down().output
        assert down("r1", answer="n\n").exit_code == 1
        assert where.platform.state
        assert down("r1", answer="y\n").exit_code == 0
    assert where.platform.state == {}
    assert runs() == ("r1",), "its folder is the live run's"
