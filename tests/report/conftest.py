"""Built reports, once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackstart.report import build
from tests.report.synth import Synth


@pytest.fixture(scope="session")
def drill_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drill of 45 s with an outage of about 1.5 s, its report built."""
    folder = Synth().write(tmp_path_factory.mktemp("session") / "drill")
    build.build(folder, [Synth().secret])
    return folder
