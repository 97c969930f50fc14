"""Data lost, secrets revoked, archives stuck, on a real Postgres and a real Redis, as clients see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from blackstart.faults import (
    Fault,
    archiving_fails,
    cache_flushed,
    page_corrupted,
    redis_memory_full,
    replay_paused,
    rows_deleted,
    secret_revoked,
    table_dropped,
    table_locked,
)
from blackstart.model.errors import ConfigError, InjectionError
from blackstart.platforms.capabilities import ExecResult
from blackstart.platforms.waiting import wait_for, wait_until
from blackstart.stack.running import RunningStack
from tests.faults.fakes import site
from tests.faults.force import ends_in_place, in_force


@contextmanager
def client(running: RunningStack, user: str = "app") -> Iterator[psycopg.Connection[Any]]:
    """A client of the small database; OperationalError if it is not let in."""
    host, port = running.address("db-1", "postgres")
    with psycopg.connect(
        host=host,
        port=port,
        user=user,
        password="sample",
        dbname="postgres",
        connect_timeout=3,
        autocommit=True,
    ) as connection:
        yield connection


@pytest.fixture
def table(database: RunningStack) -> Iterator[str]:
    """A table of a thousand rows on several pages, of the client's own."""
    with client(database) as connection:
        connection.execute(
            "CREATE TABLE lost AS SELECT n AS id, repeat('x', 100) AS body FROM generate_series(1, 1000) n"
        )
        yield "lost"
        connection.execute("DROP TABLE IF EXISTS lost")


def strike(fault: Fault, running: RunningStack) -> str:
    """The bite of a fault that nothing undoes."""
    fault.validate(running.stack)
    undo = fault.plan(running)
    fault.inject(running, undo)
    bite = wait_for(f"bite of {fault.kind}", lambda: fault.bite(running, undo), limit=fault.bite_limit)
    assert "nothing undoes this" in undo.manual
    fault.undo(undo, running.platform)
    assert fault.undone(undo, running.platform) is None
    return bite


def ids(running: RunningStack) -> set[int]:
    with client(running) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM lost")}


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: rows_deleted("db", "turns; DROP TABLE x"), "is no table"),
        (lambda: rows_deleted("db", "turns", share=0), "above 0"),
        (lambda: table_dropped("db", "Turns"), "in small letters"),
        (lambda: table_locked("db", "turns, sessions"), "is no table"),
        (lambda: table_locked("db", "turns", psql=" "), "connects as superuser"),
        (lambda: page_corrupted("db", "turns", page=-1), "the first is 0"),
        (lambda: page_corrupted("db", "turns", at=8177), "a page has 8192 bytes"),
        (lambda: secret_revoked("db", "app", psql="psql 'x"), "is no command"),
        (lambda: archiving_fails("db", psql=" "), "connects as superuser"),
        (lambda: cache_flushed("store", redis=" "), "redis-cli"),
        (lambda: redis_memory_full("store", redis=" "), "redis-cli"),
        (lambda: redis_memory_full("store", limit="much"), "not a size"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(make: Callable[[], Fault], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make()


@pytest.mark.integration
def test_deleted_rows_are_those_that_were_named(database: RunningStack, table: str) -> None:
    bite = strike(rows_deleted("db", table, where="id > 990"), database)
    assert bite.endswith("10 of 10 such rows of lost gone")
    assert ids(database) == set(range(1, 991))
    with pytest.raises(InjectionError, match="no such rows"):
        rows_deleted("db", table, where="id > 990").plan(database)


@pytest.mark.integration
def test_a_share_of_rows_is_drawn_by_the_seed_alone(database: RunningStack, table: str) -> None:
    def left_after(seed: int) -> set[int]:
        with client(database) as connection:
            connection.execute("TRUNCATE lost")
            connection.execute(
                "INSERT INTO lost SELECT n, 'x' FROM generate_series(1, 1000) n ORDER BY random()"
            )
        strike(rows_deleted("db", table, share=0.3, seed=seed), database)
        return ids(database)

    first = left_after(1)
    assert 620 <= len(first) <= 780
    assert left_after(1) == first
    assert left_after(2) != first


@pytest.mark.integration
def test_a_dropped_table_is_gone_for_its_clients(database: RunningStack, table: str) -> None:
    with pytest.raises(InjectionError, match=r"no table losst; it has: .*lost"):
        table_dropped("db", "losst").plan(database)
    strike(table_dropped("db", table), database)
    with pytest.raises(psycopg.errors.UndefinedTable):
        ids(database)


def test_a_lock_is_held_by_a_session_that_can_be_told_from_others() -> None:
    where = site()

    def answer(name: str, cmd: Sequence[str]) -> ExecResult:
        return ExecResult(0, "f" if "recovery" in cmd[-1] else "documents" if "regclass" in cmd[-1] else "")

    where.platform.answer = answer
    fault = table_locked("postgres.primary", "documents", database="app")
    undo = fault.plan(where)
    [(target, ending)] = undo.expiry.items()
    tag = str(undo.data["tag"])
    assert target == "bs-r1-pg-1"
    assert tag[1:] in ending[-1]
    words = fault.command(target, undo.data)
    assert words[3] == tag
    assert words[4].endswith("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE;")
    # Postgres cuts names of sessions off there.
    assert f"PGAPPNAME={tag}" in words and len(tag) < 64


def test_a_table_that_is_not_there_is_not_locked() -> None:
    where = site()
    said = {"pg_is_in_recovery()": "f", "to_regclass('lost')": "", "string_agg": "turns, documents"}

    def answer(name: str, cmd: Sequence[str]) -> ExecResult:
        return ExecResult(0, next(text for part, text in said.items() if part in cmd[-1]))

    where.platform.answer = answer
    with pytest.raises(InjectionError, match="no table lost; it has: turns, documents"):
        table_locked("postgres.primary", "lost").plan(where)


@pytest.mark.integration
def test_a_locked_table_keeps_its_readers_waiting_and_no_others(database: RunningStack, table: str) -> None:
    with in_force(table_locked("db", table), database) as bite, client(database) as connection:
        assert bite.endswith(f"a reader of {table} waits")
        connection.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("SELECT count(*) FROM lost")
        connection.execute("SELECT count(*) FROM turns")
    assert ids(database) == set(range(1, 1001))


@pytest.mark.integration
def test_a_corrupted_page_cannot_be_read_and_the_others_can(database: RunningStack, table: str) -> None:
    with pytest.raises(InjectionError, match="there is no 9999"):
        page_corrupted("db", table, page=9999).plan(database)
    with client(database) as connection:
        connection.execute("SELECT count(*) FROM lost")
    strike(page_corrupted("db", table, page=1), database)
    with client(database) as connection:
        with pytest.raises(psycopg.errors.DataCorrupted, match="invalid page in block 1"):
            connection.execute("SELECT count(*) FROM lost")
        assert connection.execute("SELECT count(*) FROM lost WHERE ctid < '(1,0)'").fetchone() is not None
        assert connection.execute("SELECT 1 FROM pg_extension WHERE extname <> 'plpgsql'").fetchone() is None


@pytest.mark.integration
def test_archiving_fails_until_it_is_undone(database: RunningStack) -> None:
    def archived() -> int:
        with client(database) as connection:
            row = connection.execute("SELECT archived_count FROM pg_stat_archiver").fetchone()
        assert row is not None
        return int(row[0])

    with in_force(archiving_fails("db"), database) as bite:
        assert "archiving failed" in bite
        stuck = archived()
    # What piled up is archived.
    wait_until("the archive goes on", lambda: None if archived() > stuck else "stuck", limit=20)


@pytest.mark.integration
def test_a_setting_altered_before_is_put_back(database: RunningStack) -> None:
    def psql(sql: str) -> str:
        done = database.exec("db-1", ["psql", "-U", "postgres", "-Atc", sql])
        assert done.code == 0, done.output
        return done.output.strip()

    psql("ALTER SYSTEM SET archive_command = 'test \"it''s\" && true'")
    psql("SELECT pg_reload_conf()")
    try:
        with in_force(archiving_fails("db"), database):
            assert psql("SHOW archive_command") == "false"
        assert psql("SHOW archive_command") == 'test "it\'s" && true'
    finally:
        psql("ALTER SYSTEM RESET archive_command")
        psql("SELECT pg_reload_conf()")


@pytest.mark.integration
def test_a_revoked_secret_lets_nobody_in_and_ends_who_is(database: RunningStack) -> None:
    with pytest.raises(InjectionError, match="who can: app"):
        secret_revoked("db", "nobody").plan(database)
    with client(database) as before, in_force(secret_revoked("db", "app"), database) as bite:
        assert "expired, and it has no session" in bite
        with pytest.raises(psycopg.OperationalError):
            before.execute("SELECT 1")
        with (
            pytest.raises(psycopg.OperationalError, match="password authentication failed"),
            client(database),
        ):
            pass
    with client(database) as after:
        after.execute("SELECT 1")


@pytest.mark.integration
@pytest.mark.parametrize(
    "fault",
    [archiving_fails("db"), secret_revoked("db", "app"), table_locked("db", "turns")],
    ids=lambda f: f.kind,
)
def test_what_nobody_undoes_ends_in_place(database: RunningStack, fault: Fault) -> None:
    ends_in_place(fault, database)


@pytest.mark.integration
def test_a_flushed_cache_has_forgotten_what_clients_wrote(small: RunningStack) -> None:
    def redis(*words: str) -> str:
        return small.exec("store-1", ["redis-cli", *words]).output.strip()

    redis("set", "kept", "yes")
    bite = strike(cache_flushed("store"), small)
    assert "forgot" in bite
    assert redis("get", "kept") == ""
    redis("replicaof", "127.0.0.1", "1")
    try:
        with pytest.raises(InjectionError, match="is a replica"):
            cache_flushed("store").plan(small)
    finally:
        redis("replicaof", "no", "one")


@pytest.mark.integration
def test_a_full_redis_refuses_writes_until_it_is_undone(small: RunningStack) -> None:
    def redis(*words: str) -> str:
        return small.exec("store-1", ["redis-cli", *words]).output.strip()

    before = redis("config", "get", "maxmemory")
    with in_force(redis_memory_full("store"), small) as bite:
        assert "refused" in bite
        assert "OOM" in redis("set", "more", "1")
    assert redis("set", "more", "1") == "OK"
    assert redis("config", "get", "maxmemory") == before


@pytest.mark.integration
def test_the_replay_of_a_primary_cannot_be_paused(database: RunningStack) -> None:
    with pytest.raises(InjectionError, match="no standby"):
        replay_paused("db").plan(database)
