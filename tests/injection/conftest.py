"""Every test keeps its state in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state root, also for processes that the test starts."""
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    return tmp_path / "state"
