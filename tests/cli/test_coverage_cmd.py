"""`blackstart coverage`, as a shell sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blackstart", "coverage", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_sample_is_mapped_and_written_in_every_form(tmp_path: Path) -> None:
    html, svg, data = tmp_path / "map.html", tmp_path / "map.svg", tmp_path / "map.json"
    done = _run("--root", str(ROOT), "--html", str(html), "--svg", str(svg), "--json", str(data))
    assert done.returncode == 0, done.stderr
    assert "postgres.primary" in done.stdout and "pgproxy → postgres" in done.stdout
    cells = {(c["place"], c["mode"]): c for c in json.loads(data.read_text())["cells"]}
    assert "postgres.primary_crash" in [d["drill"] for d in cells["postgres.primary", "gone"]["drills"]]
    assert cells["app → redis", "slow"]["drills"][0]["runbook"] == "redis-slow"
    assert cells["pgproxy", "gone"]["state"] == "hole"
    assert cells["app", "errors"]["state"] == "no fault"
    assert html.read_text().lstrip().startswith("<!doctype html>")
    assert svg.read_text().startswith("<svg")


def test_drills_that_cannot_be_collected_exit_3_with_pytests_words(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "test_broken.py").write_text("import nothing_of_the_kind")
    done = _run("--root", str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "nothing_of_the_kind" in done.stderr


def test_a_project_without_a_stack_exits_3(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "test_none.py").write_text("")
    done = _run("--root", str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "tool.blackstart" in done.stderr
