"""Fixtures around the running sample stack, and the rule that nothing is skipped unsaid."""

from __future__ import annotations

from collections.abc import Generator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["fixtures.sample"]

#: What may be skipped: one pattern of node ids a line, `# why` behind it.
ALLOWED = Path(__file__).parent / "tests" / "skips.txt"
_skipped = pytest.StashKey[dict[str, str]]()


def allowed(lines: str) -> list[str]:
    """The patterns in the text of `skips.txt`."""
    return [pattern for line in lines.splitlines() if (pattern := line.partition("#")[0].strip())]


def unexpected(skipped: dict[str, str], patterns: list[str]) -> dict[str, str]:
    """Those of the skipped tests (node id: reason) that no pattern names."""
    return {n: why for n, why in skipped.items() if not any(fnmatchcase(n, p) for p in patterns)}


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing skipped."""
    config.stash[_skipped] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Note what is skipped."""
    report = yield
    _note(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Note files that are skipped as a whole."""
    report = yield
    _note(collector.config, report)
    return report


def _note(config: pytest.Config, report: Any) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        config.stash[_skipped][report.nodeid] = report.longrepr[-1] if report.longrepr else ""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip that the list does not name fails the run: a skipped test proves nothing."""
    found = unexpected(session.config.stash[_skipped], allowed(ALLOWED.read_text()))
    if found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    session.config.stash[_skipped] = found


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the skips that the list does not."""
    for node, why in config.stash[_skipped].items():
        terminalreporter.write_line(f"SKIPPED, and not in {ALLOWED.name}: {node}: {why}", red=True)
