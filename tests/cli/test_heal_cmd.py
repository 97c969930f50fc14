"""`blackstart heal` and `blackstart down` on a platform in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from blackstart.cli.heal_cmd import down_command, heal_command
from blackstart.faults import freeze
from blackstart.injection.journal import Journal
from blackstart.injection.lock import RunLock
from blackstart.injection.state import RunRecord, boot_id, runs
from blackstart.model.errors import ConfigError, PlatformError
from blackstart.platforms.capabilities import left
from blackstart.toxiproxy.client import PROXY_API_PORT
from tests.faults.fakes import FakeSite, site
from tests.toxiproxy.memory import ToxiproxyInMemory


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSite]:
    made = site()
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))
    monkeypatch.setattr("blackstart.platforms.engine.connect", lambda **_: None)
    monkeypatch.setattr("blackstart.platforms.docker.DockerPlatform", lambda _: made.platform)
    with ToxiproxyInMemory({}) as server:
        made.platform.host_ports = {PROXY_API_PORT: server.port}
        yield made


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


def test_a_run_that_left_no_journal_here_may_be_live_so_heal_asks_first(where: FakeSite) -> None:
    where.platform.pause("bs-r1-app-1")
    refused = heal("r1", answer="n\n")
    assert refused.exit_code == 1
    assert "may be live" in refused.output
    assert where.platform.state["bs-r1-app-1"] == "paused"
    assert heal("r1", "--yes").output == "run r1: let go on: bs-r1-app-1\n"


def test_a_run_of_ones_own_is_healed_without_a_question(where: FakeSite) -> None:
    left_frozen(where)
    assert heal("r1").output == "run r1: undone: freeze of bs-r1-app-1\n"


def test_what_could_not_be_removed_keeps_its_journal(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_frozen(where)

    def fail(run_id: str) -> list[str]:
        raise PlatformError("cannot remove it")

    monkeypatch.setattr(where.platform, "remove_run", fail)
    result = down()
    assert (result.exit_code, "cannot remove it" in result.output) == (1, True)
    assert len(Journal("r1").in_force()) == 1


def test_down_leaves_a_run_of_another_engine_and_its_journal(where: FakeSite) -> None:
    left_frozen(where)
    RunRecord("r1", 1, boot_id(), False, engine="ENGINE-0").write()
    result = down()
    assert result.exit_code == 1
    assert "belongs to the Docker engine ENGINE-0, and this is ENGINE-1" in result.output
    assert where.platform.state
    assert len(Journal("r1").in_force()) == 1


def test_down_names_what_the_engine_cannot_let_go_of(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_frozen(where)
    monkeypatch.setattr(where.platform, "remove_run", lambda _: ["a", left("net")])
    result = down()
    assert result.exit_code == 0
    assert result.output.startswith("run r1: removed 1\nrun r1: net (left: the engine counts")
    assert runs() == ()


def test_a_live_run_without_containers_yet_keeps_its_journal(where: FakeSite) -> None:
    left_frozen(where)
    where.platform.state.clear()
    with RunLock("r1"):
        assert down("r1", "--yes").exit_code == 0
        assert runs() == ("r1",)


def test_down_removes_own_runs_that_are_over_and_names_the_others(where: FakeSite) -> None:
    result = down()
    assert result.output == "nothing to remove\nleft alone (name them, or --all): r1\n"
    left_frozen(where)
    assert down().output == "run r1: removed 6\n"
    assert where.platform.state == {}
    assert runs() == ()


def test_down_removes_a_run_that_is_named(where: FakeSite) -> None:
    assert down("r1").output == "run r1: removed 6\n"


def test_down_removes_the_stack_that_is_named_alone(where: FakeSite, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for stack, run in (("fake", "r1"), ("another", "r2")):
        (tmp_path / "kept" / f"{stack}.json").write_text(json.dumps({"stack": stack, "run_id": run}))
    left_frozen(where)
    assert down("--stack", "fake").output == "run r1: removed 6\n"
    refused = down("--stack", "fkae").exception
    assert isinstance(refused, ConfigError)
    assert str(refused) == "no stack 'fkae' was left running; left running: another (run r2), fake (run r1)"


def test_down_asks_before_it_takes_a_stack_from_a_live_run(where: FakeSite) -> None:
    left_frozen(where)
    with RunLock("r1"):
        assert "left alone" in down().output
        assert down("r1", answer="n\n").exit_code == 1
        assert where.platform.state
        assert down("r1", answer="y\n").exit_code == 0
    assert where.platform.state == {}
    assert runs() == ("r1",), "its folder is the live run's"
