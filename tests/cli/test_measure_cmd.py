"""`measure` and `check` as commands: one JSON object or nothing on stdout, the verdict as exit status."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from blackstart.cli import measure_cmd
from blackstart.cli.measure_cmd import check_command, measure_command
from tests.measure.histories import HEADER, Script, begin, end, save_lines
from tests.measure.test_recovery import around


@click.group()
def group() -> None:
    """Stands in for the real entry point."""


group.add_command(measure_command)
group.add_command(check_command)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(a) for a in arguments])


@pytest.mark.parametrize(("bad_to", "status", "verdict"), [(6, 0, "pass"), (20, 1, "fail")])
def test_measure_exits_by_its_verdict(bad_to: float, status: int, verdict: str, tmp_path: Path) -> None:
    around(5, bad_to).save(tmp_path, [begin(5), end(6)])
    result = run("measure", tmp_path)
    assert result.exit_code == status and result.stderr == ""
    shown = json.loads(result.stdout)
    assert list(shown) == ["verdict", "rto", "outages", "strays", "rpo", "availability", "latency_ms"]
    assert shown["verdict"] == verdict


def test_unknown_is_2(tmp_path: Path) -> None:
    Script().save(tmp_path)
    assert run("measure", tmp_path).exit_code == 2
    assert run("check", tmp_path / "history.jsonl").exit_code == 2


def test_check_exits_by_its_verdict(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).read("k", [], 2).close("k", [1], 3)
    path = script.save(tmp_path) / "history.jsonl"
    assert run("check", path).exit_code == 0
    strict = run("check", path, "--linearizable")
    assert strict.exit_code == 1 and json.loads(strict.stdout)["stale_reads"] == [3]


@pytest.mark.parametrize(
    "arguments",
    [
        ("measure",),
        ("check",),
        ("measure", "a", "b"),
        ("check", "a", "--what"),
        ("measure", "--linearizable", "a"),
    ],
)
def test_wrong_usage_is_3_with_nothing_on_stdout(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "Usage:" in result.stderr


def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path) -> None:
    result = run("measure", tmp_path)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == f"{tmp_path}/history.jsonl: No such file or directory\n"
    history = save_lines(tmp_path / "history.jsonl", [HEADER, {"index": 0}])
    for command in (("measure", tmp_path), ("check", history)):
        result = run(*command)
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr.startswith(f"{history}: line 2: ")
    save_lines(history, [HEADER])
    result = run("measure", tmp_path)
    assert (result.exit_code, result.stderr) == (3, f"{tmp_path}/events.jsonl: No such file or directory\n")


def test_a_torn_line_is_a_note_on_stderr(tmp_path: Path) -> None:
    path = Script().write("k", 1, 1).close("k", [1], 3).save(tmp_path) / "history.jsonl"
    with path.open("a") as file:
        file.write('{"index":')
    result = run("check", path)
    assert result.exit_code == 0 and json.loads(result.stdout)["verdict"] == "pass"
    assert f"{path}: line 6: torn" in result.stderr


def test_a_crash_of_ours_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(path: Path) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(measure_cmd, "read_history", crash)
    result = run("check", tmp_path)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "boom" in result.stderr
