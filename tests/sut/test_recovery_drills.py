"""What drills of disasters count: passwords that still open, rows that are answered otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from blackstart.model.errors import HarnessError, PlatformError
from blackstart.platforms.capabilities import ExecResult
from blackstart.stack.running import RunningStack
from fixtures import disasters
from fixtures.recovery import Rows
from sut.settings import APP_PASSWORD, NEXT_APP_PASSWORD

REFUSED = 'FATAL:  password authentication failed for user "app"'


@dataclass
class Node:
    """A primary whose role `app` has that password, or one that answers nobody."""

    password: str
    down: bool = False

    def resolve(self, selector: str) -> list[SimpleNamespace]:
        """As RunningStack."""
        return [SimpleNamespace(name="pg-1")]

    def exec(self, instance: str, argv: Sequence[str], timeout: float = 5.0) -> ExecResult:
        """As RunningStack."""
        if self.down:
            return ExecResult(2, "connection refused")
        return ExecResult(0, "1") if f"PGPASSWORD={self.password}" in argv else ExecResult(2, REFUSED)


@pytest.mark.parametrize(("password", "amiss"), [(NEXT_APP_PASSWORD, 0), (APP_PASSWORD, 2), ("neither", 1)])
def test_a_password_that_was_not_replaced_is_counted(password: str, amiss: int) -> None:
    assert disasters.passwords_amiss(cast(RunningStack, Node(password))) == amiss


def test_a_login_that_fails_otherwise_shows_nothing_of_the_password() -> None:
    with pytest.raises(HarnessError, match="not for its password"):
        disasters.passwords_amiss(cast(RunningStack, Node(APP_PASSWORD, down=True)))


def test_rows_that_changed_and_rows_that_vanished_are_answered_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Rows({"a": "1", "b": "2", "c": "3"})
    sample = cast(RunningStack, object())
    monkeypatch.setattr(disasters, "rows", lambda sample: Rows({"a": "1", "b": "9", "d": "4"}))
    assert disasters.answered_otherwise(sample, before) == 2

    def refuses(sample: RunningStack) -> Rows:
        raise PlatformError("pg-1: psql: ERROR:  invalid page in block 3 of relation base/1/2")

    monkeypatch.setattr(disasters, "rows", refuses)
    assert disasters.answered_otherwise(sample, before) == 0
