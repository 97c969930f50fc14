"""Drills end to end, on a stack that is not the sample's: verdicts, evidence, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PROJECT = Path(__file__).parents[1] / "smallproject"
DRILLS = PROJECT / "drills_small.py"


class Run:
    """A pytest of the small project, in a process of its own."""

    def __init__(self, tmp: Path, test: str, *options: str, **environment: str) -> None:
        self.reports, self.name = tmp / "reports", test.replace("test_", "drills_small.")
        self.environment = {**os.environ, "BLACKSTART_STATE": str(tmp / "state"), **environment}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-m", "chaos", "-c", str(PROJECT / "pyproject.toml")),
                *("--rootdir", str(PROJECT), f"{DRILLS}::{test}"),
                *("--chaos-dir", str(self.reports), *options),
            ],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A test run in the background of a shell hands down an ignored Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def finish(self, limit_s: float = 400) -> tuple[int, str]:
        """Exit code and output."""
        out, _ = self.process.communicate(timeout=limit_s)
        return self.process.returncode, out

    @property
    def run_id(self) -> str:
        """The run's id, once it has a folder."""
        return next(p.name for p in self.reports.iterdir() if p.is_dir() and not p.is_symlink())

    def trial(self, name: str | None = None, label: str = "trial-1") -> Path:
        """Where a trial wrote; its second run if a gate (a busy host) voided the first."""
        folder = self.reports / self.run_id / (name or self.name) / label
        again = folder.with_name(f"{label}-again1")
        return again if again.exists() else folder

    def fault_began(self) -> bool | None:
        """True once the fault bites."""
        events = self.trial() / "events.jsonl"
        return '"bite"' in events.read_text() or None


@pytest.fixture
def held(tmp_path: Path, platform: DockerPlatform) -> Iterator[Run]:
    """A drill whose fault is in force now; what is left of its run is removed at the end."""
    run = Run(tmp_path, "test_store_held")
    try:
        wait_for("the fault to be in force", run.fault_began, limit="90s")
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
        run.process.communicate()
        platform.remove_run(run.run_id)


def _load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def test_drill_control_and_placebo_each_show_what_they_are_for(
    tmp_path: Path, platform: DockerPlatform
) -> None:
    run = Run(tmp_path, "test_store_killed", "--chaos-controls", "--chaos-placebo")
    code, out = run.finish()
    assert code == 0, out
    drill, control, placebo = (
        _load(run.trial(label=label) / "run.json")
        for label in ("trial-1", "control-no-persistence", "placebo")
    )
    assert drill["verdict"] == "pass"
    assert drill["measure"]["rto"]["hi_s"] > 0
    assert "lost" in [f["objective"] for f in control["findings"] if f["verdict"] == "fail"]
    assert placebo["verdict"] == "pass"
    assert placebo["measure"]["outages"] == []
    assert [c["proof"] for c in drill["related"]["controls"]] == ["pass"]
    assert drill["related"]["placebo"]["verdict"] == "pass"
    assert "caught" in out
    for name in ("report.html", "report.md", "history.jsonl", "events.jsonl", "logs/store-1.log"):
        assert (run.trial() / name).stat().st_size > 0, name
    assert (run.reports / "latest" / "index.html").exists()
    again = subprocess.run(
        [sys.executable, "-m", "blackstart", "measure", str(run.trial())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(again.stdout) == drill["measure"], "the figures can be recomputed from the files"
    assert platform.list(run.run_id) == []


def test_a_false_hypothesis_fails_and_a_drill_without_fault_is_unknown(tmp_path: Path) -> None:
    run = Run(tmp_path, "test_store_frozen", f"{DRILLS}::test_store_spared")
    code, out = run.finish()
    assert code == 1, out
    assert "FAILED: A store that is frozen for a second is not noticed" in out
    assert "fail    rto" in out
    found = _load(run.trial() / "run.json")
    assert found["verdict"] == "fail"
    assert found["measure"]["rto"]["hi_s"] > 1.0
    assert "UNKNOWN: A drill that forgets to inject" in out
    assert _load(run.trial("drills_small.store_spared") / "run.json")["verdict"] == "unknown"


def test_a_killed_test_process_leaves_nothing(held: Run, platform: DockerPlatform) -> None:
    store = f"bs-{held.run_id}-store-1"
    assert platform.is_paused(store)
    held.process.kill()
    wait_for("the fault to be undone", lambda: not _frozen(platform, store) or None, limit="5s")
    wait_for("all containers to be gone", lambda: not platform.list(held.run_id) or None, limit="30s")


@pytest.mark.parametrize("how", ["SIGTERM", "budget"])
def test_a_run_that_is_stopped_undoes_at_once_and_its_trial_is_unknown(
    tmp_path: Path, platform: DockerPlatform, how: str
) -> None:
    options = ["--chaos-error-budget", "10"] if how == "budget" else []
    run = Run(tmp_path, "test_store_held", *options, f"{DRILLS}::test_store_spared")
    wait_for("the fault to be in force", run.fault_began, limit="90s")
    if how == "SIGTERM":
        run.process.terminate()
    told = run.trial() / "events.jsonl"
    wait_for("the fault to be undone", lambda: '"end"' in told.read_text() or None, limit="10s")
    code, out = run.finish()
    assert code == 2, out
    assert "UNKNOWN" in out
    found = _load(run.trial() / "run.json")
    assert found["verdict"] == "unknown", found["findings"]
    stopped = next(f for f in found["findings"] if f["objective"] == "stopped")
    assert stopped["measured"] == how or "the error budget is burnt" in stopped["measured"]
    assert not run.trial("drills_small.store_spared").exists(), "nothing is run after a stop"
    assert platform.list(run.run_id) == []


def _frozen(platform: DockerPlatform, name: str) -> bool:
    return any(c.name == name and c.status == "paused" for c in platform.list())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_drill_undoes_and_removes_everything(
    held: Run, platform: DockerPlatform, number: signal.Signals
) -> None:
    held.process.send_signal(number)
    code, out = held.finish(60)
    assert code == 2, out
    assert platform.list(held.run_id) == []
    assert (held.trial() / "history.jsonl").stat().st_size > 0, "the history is kept"


def test_an_unknown_target_is_answered_with_the_valid_ones(tmp_path: Path) -> None:
    from blackstart import kill
    from blackstart.model.errors import ConfigError
    from tests.smallproject.small_stack import stack

    with pytest.raises(ConfigError, match="services: store, web"):
        kill("database").validate(stack)
