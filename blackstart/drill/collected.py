"""A project's drills as pytest collects them, rehearsed, for commands beside pytest."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from blackstart.drill.planned import PLAN, Plan
from blackstart.model.errors import ConfigError


class _Catch:
    """A plugin that keeps the plan of the session."""

    def __init__(self) -> None:
        self.plan: Plan | None = None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Once every drill is rehearsed."""
        self.plan = session.config.stash.get(PLAN, None)


def collected(root: Path, paths: Sequence[Path], reports: Path) -> Plan:
    """The plan of the drills in `paths` (relative to `root`), as `pytest -m chaos --chaos-plan` makes it.

    Raises ConfigError with pytest's words if they cannot be collected.
    """
    catch, said = _Catch(), io.StringIO()
    options = ["-m", "chaos", "--chaos-plan", "--chaos-dir", str(reports), "-p", "no:cacheprovider"]
    with _inside(root), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        pytest.main([*options, "--rootdir", str(root), *map(str, paths)], plugins=[catch])
    if catch.plan is None:
        raise ConfigError(f"the drills cannot be collected:\n{said.getvalue().strip()}")
    return catch.plan


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
