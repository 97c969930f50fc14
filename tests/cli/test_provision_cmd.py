"""`blackstart provision` says what is wrong before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from blackstart.cli.provision_cmd import provision_command
from blackstart.model.errors import ConfigError
from tests.faults.fakes import FakePlatform, site

ROOT = Path(__file__).parents[2]


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    """An engine with run r1 of a stack called `fake`."""
    made = site().platform
    monkeypatch.setattr("blackstart.platforms.engine.connect", lambda **_: None)
    monkeypatch.setattr("blackstart.platforms.docker.DockerPlatform", lambda _: made)
    return made


def provision(*args: str) -> Result:
    return CliRunner().invoke(provision_command, [*args, "--root", str(ROOT)])


@pytest.mark.parametrize("args", [("r1",), ("r1", "pg-1", "--all")])
def test_it_wants_names_or_all(platform: FakePlatform, args: tuple[str, ...]) -> None:
    result = provision(*args)
    assert result.exit_code == 2
    assert "name the instances to start, or --all" in result.output


def test_a_run_that_is_not_here_is_answered_with_those_that_are(platform: FakePlatform) -> None:
    platform.state.clear()
    with pytest.raises(ConfigError, match="no stack of run r2 is here; runs: none"):
        raise provision("r2", "--all").exception or AssertionError


def test_a_stack_that_the_project_does_not_declare_is_refused(platform: FakePlatform) -> None:
    with pytest.raises(ConfigError, match=r"run r1 is of stack 'fake', which .* does not declare"):
        raise provision("r1", "pg-1").exception or AssertionError


@pytest.mark.parametrize("text", ["", "[1]", '{"app-1": "x"}', "secret"])
def test_variables_that_cannot_be_read_are_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    from blackstart.cli.provision_cmd import _variables

    file = tmp_path / "env.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="not a JSON object of variables by instance") as told:
        _variables(file)
    assert not text or "secret" not in str(told.value)


def test_variables_are_read_by_instance(tmp_path: Path) -> None:
    from blackstart.cli.provision_cmd import _variables

    file = tmp_path / "env.json"
    file.write_text('{"app-1": {"KEY": "value", "NUMBER": 5}}')
    assert _variables(file) == {"app-1": {"KEY": "value", "NUMBER": "5"}}
