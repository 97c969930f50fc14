"""A run and the evidence of it, made once for all tests of this room; those that change it copy it first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from blackstart.evidence.build import Built, build
from tests.evidence.runs import KEY, a_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run; not to be changed."""
    return a_run(tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="session")
def built(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The evidence of that run; not to be changed."""
    return build(run, tmp_path_factory.mktemp("evidence"), KEY, {"rto": "60s"})


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return shutil.copytree(run, tmp_path / "reports" / run.name)


@pytest.fixture
def evidence(built: Built, tmp_path: Path) -> Path:
    """A copy of the evidence, to be tampered with."""
    return shutil.copytree(built.folder, tmp_path / built.folder.name)
