"""`blackstart evidence` as a shell sees it: what is made, what is said, and the exit status."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from blackstart.cli import evidence_cmd
from blackstart.cli.evidence_cmd import evidence_command
from tests.evidence.runs import DRILL, RUN_ID, a_run


@click.group()
def group() -> None:
    """Stands in for the real entry point."""


group.add_command(evidence_command)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, ["evidence", *map(str, arguments)])


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, `latest` beside it."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "latest").symlink_to(a_run(folder).name, target_is_directory=True)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of this test's own, at work in an empty folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BLACKSTART_SECRETS", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def made(home: Path) -> Path:
    return home / "work" / f"evidence-2026-01-15-{RUN_ID}"


def test_the_first_use_makes_a_key_and_says_so(reports: Path, home: Path) -> None:
    first = run(reports / "latest")
    assert first.exit_code == 0, first.output
    assert "your key was made" in first.stdout
    assert (home / "config" / "blackstart" / "evidence.key").stat().st_mode & 0o777 == 0o600
    assert f"evidence: {made(home)}" in first.stdout and "verdict: pass" in first.stdout
    again = run(reports / "latest", "--out", home / "other")
    assert again.exit_code == 0 and "your key was made" not in again.stdout
    assert first.stdout.splitlines()[-1] == again.stdout.splitlines()[-1]  # the fingerprint


def test_what_was_made_is_verified_and_an_unnamed_key_is_warned_of(reports: Path, home: Path) -> None:
    fingerprint = run(reports / "latest").stdout.split()[-1]
    unnamed = run("--verify", made(home))
    assert unnamed.exit_code == 0
    assert "intact: 12 files" in unnamed.stdout and "the one in the folder" in unnamed.stdout
    assert "WARNING" in unnamed.stderr
    named = run("--verify", made(home), "--fingerprint", fingerprint)
    assert (named.exit_code, named.stderr) == (0, "")
    assert "as given" in named.stdout
    public = home / "config" / "blackstart" / "evidence.key.pub"
    assert run("--verify", made(home), "--public-key", public).stderr == ""


def test_tampering_exits_1_and_names_the_file(reports: Path, home: Path) -> None:
    assert run(reports / "latest").exit_code == 0
    with (made(home) / "evidence.html").open("a") as file:
        file.write(" ")
    (made(home) / "runs" / DRILL / "placebo" / "events.jsonl").unlink()
    found = run("--verify", made(home))
    assert found.exit_code == 1
    assert "evidence.html: changed" in found.stdout
    assert f"runs/{DRILL}/placebo/events.jsonl: missing" in found.stdout
    assert "TAMPERED" in found.stderr and "intact" not in found.stdout


def test_a_key_of_its_own_is_made_and_used(reports: Path, home: Path) -> None:
    key = home / "signer.key"
    told = run("keygen", key)
    assert told.exit_code == 0
    fingerprint = told.stdout.split()[-1]
    assert run(reports / "latest", "--key", key).stdout.split()[-1] == fingerprint
    assert not (home / "config").exists()
    again = run("keygen", key)
    assert again.exit_code == 3 and "is there already" in again.stderr


def test_targets_are_compared(reports: Path, home: Path) -> None:
    told = run(reports / "latest", "--targets", "rto=100ms")
    assert told.exit_code == 0
    assert "verdict: fail" in told.stdout and "0 of 1 target met" in told.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("a", "b"),
        ("keygen",),
        ("a", "--nonsense"),
        ("--verify", "a", "b"),
        ("--verify", "a", "--targets", "rto=1s"),
        ("a", "--fingerprint", "x"),
        ("keygen", "a", "--out", "b"),
    ],
)
def test_wrong_usage_exits_3_with_nothing_on_stdout(arguments: tuple[str, ...], home: Path) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "Usage:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing",), "no such folder"),
        (("--verify", "missing"), "no such folder"),
        (("--verify", "."), "no evidence"),
        (("--verify", ".", "--public-key", "missing"), "cannot be read"),
        (("missing", "--targets", "rto=soon"), "not a duration"),
        ((".", "--key", "missing"), "cannot be read"),
    ],
)
def test_what_prevents_an_answer_exits_3_and_is_said(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 3
    assert said in result.stderr


def test_a_crash_of_ours_does_not_say_tampered(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(evidence_cmd, "verify", crash)
    result = run("--verify", ".")
    assert result.exit_code == 3 and "boom" in result.stderr
