"""`blackstart doctor`: exit status and words."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from blackstart.cli.doctor_cmd import doctor_command


def test_a_machine_without_engine_is_told_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    result = CliRunner().invoke(doctor_command, ["--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "make setup" in result.output
    assert "missing: stack, Docker engine" in result.output


@pytest.mark.integration
def test_this_machine_is_ready(pytestconfig: pytest.Config) -> None:
    result = CliRunner().invoke(doctor_command, ["--root", str(pytestconfig.rootpath)])
    assert result.exit_code == 0, result.output
    assert "ready for a drill" in result.output
