"""The command line as a shell sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from blackstart.cli.main import COMMANDS, blackstart


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blackstart", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_it_does(name: str) -> None:
    command = blackstart.get_command(None, name)  # type: ignore[arg-type]  # the context is not looked at
    assert command is not None
    assert command.help


def test_help_lists_all_commands() -> None:
    done = _run("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    "wrong", [("frobnicate",), ("measure",), ("check", "--nonsense", "x"), ("up", "--what")]
)
def test_wrong_usage_exits_3_with_nothing_on_stdout(wrong: tuple[str, ...]) -> None:
    done = _run(*wrong)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr


@pytest.mark.parametrize("command", ["up", "status"])
def test_a_stack_that_is_none_exits_3_with_the_names_there_are(command: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.blackstart.stacks]\nrecovery = "nowhere:stack"')
    done = _run(command, "--root", str(tmp_path), "--stack", "recvoery")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no stack 'recvoery'" in done.stderr and "there are: recovery" in done.stderr


def test_measuring_loads_no_docker() -> None:
    code = (
        "import sys; sys.argv = ['blackstart', 'measure', '/nonexistent']\n"
        "from blackstart.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 3, end.code\n"
        "sys.exit(', '.join({'docker', 'requests', 'aiohttp', 'pytest'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
