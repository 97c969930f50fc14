"""Fixtures around the running sample stack, and the rule that nothing is skipped unsaid."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["fixtures.sample", "fixtures.chats"]

#: What may be skipped: one pattern of node ids a line, `# why` behind it.
ALLOWED = Path(__file__).parent / "tests" / "skips.txt"
_skips: pytest.StashKey[_Skips] = pytest.StashKey()


def allowed(lines: str) -> list[str]:
    """The patterns in the text of `skips.txt`."""
    return [pattern for line in lines.splitlines() if (pattern := line.partition("#")[0].strip())]


def unexpected(skipped: dict[str, str], patterns: list[str]) -> dict[str, str]:
    """Those of the skipped tests (node id: reason) that no pattern names."""
    return {n: why for n, why in skipped.items() if not any(fnmatchcase(n, p) for p in patterns)}


class _Skips:
    """What is skipped, as the reports say; those of the workers of pytest-xdist come here too."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: Any) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.found[report.nodeid] = report.longrepr[-1] if report.longrepr else ""


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing skipped."""
    config.stash[_skips] = _Skips()
    config.pluginmanager.register(config.stash[_skips])


def _unlisted(config: pytest.Config) -> dict[str, str]:
    return unexpected(config.stash[_skips].found, allowed(ALLOWED.read_text()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip that the list does not name fails the run: a skipped test proves nothing."""
    if _unlisted(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the skips that the list does not."""
    for node, why in _unlisted(config).items():
        terminalreporter.write_line(f"SKIPPED, and not in {ALLOWED.name}: {node}: {why}", red=True)
