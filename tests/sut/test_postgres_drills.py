"""What the drills of Postgres find out by themselves, also where the service no longer answers."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from blackstart.model.errors import InjectionError
from fixtures import postgres
from fixtures.postgres import answered, comes_in_step, long_transactions, missing, present, primary_now
from sut import conditions


def sample(**roles: str) -> Any:
    """A running stack whose Postgres nodes have these roles."""
    return SimpleNamespace(
        role_map=lambda service: {name.replace("_", "-"): role for name, role in roles.items()},
        address=lambda instance, port: ("127.0.0.1", 1),
    )


def test_where_nobody_or_more_than_one_is_primary_none_is_the_holder_of_before() -> None:
    assert primary_now(sample(pg_1="replica", pg_2="primary")) == "pg-2"
    assert primary_now(sample(pg_1="replica")) is None
    assert primary_now(sample(pg_1="primary", pg_2="primary")) is None


def test_a_standby_that_does_not_come_in_step_fails_the_drill_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conditions, "postgres", lambda running: "pg-1 leader running, pg-2 stopped")
    with pytest.raises(AssertionError, match="pg-2 stopped"):
        comes_in_step(sample(), limit=0)
    monkeypatch.setattr(conditions, "postgres", lambda running: None)
    comes_in_step(sample(), limit=0)


def test_a_database_that_does_not_answer_after_a_fault_fails_the_drill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nobody(running: Any, query: str) -> str:
        raise InjectionError("nothing is postgres.primary now")

    monkeypatch.setattr(postgres, "ask_primary", nobody)
    with pytest.raises(AssertionError, match=r"nothing is postgres\.primary now"):
        answered(sample(), "SELECT 1", limit=0)


def test_what_is_kept_of_a_drills_own_client_is_counted_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ask_primary", lambda running, query: "a\nb")
    assert missing(sample(), {"a", "c", "d"}) == 2
    assert present(sample(), {"b", "c"}) == 1


def test_only_a_transaction_that_breaks_off_before_its_commit_was_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    over = threading.Event()
    # Where each connection breaks; the last one does not.
    breaks = ["SELECT", "COMMIT", "INSERT", ""]

    class Connection:
        def __enter__(self) -> Connection:
            if not breaks:
                over.set()
                raise psycopg.OperationalError
            self.at = breaks.pop(0)
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def _break(self, word: str) -> None:
            if self.at == word:
                raise psycopg.OperationalError

        def execute(self, query: str, values: tuple[str, ...] = ()) -> None:
            made.extend(values[1:])
            self._break(query.partition(" ")[0])

        def commit(self) -> None:
            self._break("COMMIT")

    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: Connection())
    with long_transactions(sample()) as interrupted:
        assert over.wait(10)
    assert interrupted == {made[0]}
