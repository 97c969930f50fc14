"""The SQL side against a real Postgres that locks, turns read-only, drops sessions and dies."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
import uvloop
from docker.models.containers import Container

from blackstart.load.operations import LoadPlan, SqlRead, SqlWrite
from blackstart.load.outcome import Outcome
from blackstart.load.process import LoadProcess
from blackstart.load.sql import SqlReadExecutor, SqlWriteExecutor
from blackstart.measure.check import check
from blackstart.model.stack import Image
from blackstart.platforms.engine import connect
from blackstart.platforms.waiting import wait_for
from blackstart.stack.images import ensure_images

pytestmark = pytest.mark.integration

IMAGE = Image("postgres", Path(__file__).parents[2] / "sut" / "postgres")
START = """
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
$bin/initdb -D /tmp/data --auth=trust --username=app >/dev/null
echo 'host all all 0.0.0.0/0 trust' >> /tmp/data/pg_hba.conf
exec $bin/postgres -D /tmp/data -c 'listen_addresses=*' -c unix_socket_directories=/tmp -c fsync=off \
  -c blackstart.node=pg-9
"""


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    """A Postgres of our own, without Patroni."""
    client = connect()
    tag = ensure_images((IMAGE,), progress=print)["postgres"]
    made = client.containers.run(
        tag,
        entrypoint=["/usr/bin/tini", "--", "sh", "-c", START],
        user="postgres",
        detach=True,
        ports={"5432/tcp": ("127.0.0.1", 0)},
        labels={"blackstart.run": f"test-{secrets.token_hex(4)}", "blackstart.stack": "test-load"},
    )
    try:
        yield made
    finally:
        made.remove(force=True, v=True)


@pytest.fixture(scope="module")
def dsn(container: Container) -> str:
    """Where it listens, once it answers and has the probe's table."""
    container.reload()
    published = container.ports["5432/tcp"]
    assert published is not None
    port = published[0]["HostPort"]
    url = f"postgresql://app@127.0.0.1:{port}/postgres?sslmode=disable"

    async def table() -> bool:
        admin = await asyncpg.connect(url, timeout=2)
        await admin.execute("CREATE TABLE probe_ledger (key text, id text, at timestamptz DEFAULT now())")
        await admin.close()
        return True

    wait_for(
        "Postgres answers",
        lambda: asyncio.run(table()),
        limit="30s",
        last=lambda: container.logs(tail=5).decode(),
    )
    return url


@asynccontextmanager
async def admin_of(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    admin = await asyncpg.connect(dsn)
    await admin.execute("SET default_transaction_read_only = off; SET synchronous_commit = local")
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def setting(admin: asyncpg.Connection, name: str, value: str) -> AsyncIterator[None]:
    """A server setting in force for all sessions but the administrators', put back afterwards."""
    for text in (f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()"):
        await admin.execute(text)
    in_force = f"SELECT reset_val = '{value}' FROM pg_settings WHERE name = '{name}'"
    await until(admin, in_force, name)
    try:
        yield
    finally:
        for text in (f"ALTER SYSTEM RESET {name}", "SELECT pg_reload_conf()"):
            await admin.execute(text)
        await until(admin, f"SELECT NOT ({in_force})", name)


async def until(admin: asyncpg.Connection, query: str, what: str) -> Any:
    """Wait until a query's first value is true."""
    async with asyncio.timeout(10):
        while not (value := await admin.fetchval(query)):
            await asyncio.sleep(0.02)
    assert value, what
    return value


async def write(executor: SqlWriteExecutor, ident: str) -> Outcome:
    return await executor({"id": ident}, "key")


def operation(dsn: str, **more: Any) -> SqlWrite:
    return SqlWrite(f="sql", rate=100, dsn=dsn, **{"deadline": "5s", **more})


def run(main: Coroutine[Any, Any, None]) -> None:
    uvloop.run(asyncio.wait_for(main, 30))


BLOCKED = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' LIMIT 1"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' LIMIT 1"


def test_an_acknowledgement_names_node_and_timeline(dsn: str) -> None:
    async def main() -> None:
        executor = SqlWriteExecutor(operation(dsn))
        outcome = await write(executor, "a-1")
        assert outcome.node == {"id": "pg-9", "term": 1, "system": "postgres"}
        assert outcome.type == "ok"
        read = SqlReadExecutor(SqlRead(f="r", dsn=dsn))
        assert "a-1" in ((await read({}, "key")).ids or [])
        await executor.close()
        await read.close()

    run(main())


def test_a_statement_past_its_deadline_is_indeterminate_and_never_cancelled(dsn: str) -> None:
    async def main() -> None:
        executor = SqlWriteExecutor(operation(dsn, deadline="1s"))
        assert (await write(executor, "b-0")).type == "ok"
        async with admin_of(dsn) as admin, admin_of(dsn) as locker:
            async with locker.transaction():
                await locker.execute("LOCK TABLE probe_ledger")
                outcome = await write(executor, "b-1")
                assert (outcome.type, outcome.error) == ("info", "timeout")
                assert await admin.fetchval(BLOCKED), "the statement goes on in the server"
            await until(admin, "SELECT count(*) = 1 FROM probe_ledger WHERE id = 'b-1'", "it was applied")
        assert (await write(executor, "b-2")).type == "ok", "a new connection is made"
        await executor.close()

    run(main())


def test_no_connection_in_time_is_a_certain_failure(dsn: str, container: Container) -> None:
    async def main() -> None:
        executor = SqlWriteExecutor(operation(dsn, connect_timeout="300ms"))
        await asyncio.to_thread(container.pause)
        try:
            outcome = await write(executor, "c-1")
        finally:
            await asyncio.to_thread(container.unpause)
        assert (outcome.type, outcome.error) == ("fail", "connect-timeout")

    run(main())


def test_a_read_only_server_is_a_certain_failure(dsn: str) -> None:
    async def main() -> None:
        executor = SqlWriteExecutor(operation(dsn))
        async with admin_of(dsn) as admin:
            async with setting(admin, "default_transaction_read_only", "on"):
                outcome = await write(executor, "d-1")
            assert (outcome.type, outcome.error) == ("fail", "25006")
            assert await admin.fetchval("SELECT count(*) FROM probe_ledger WHERE id = 'd-1'") == 0
        assert (await write(executor, "d-2")).type == "ok"
        await executor.close()

    run(main())


def test_a_session_ended_by_the_administrator_in_mid_statement_is_indeterminate(dsn: str) -> None:
    async def main() -> None:
        executor = SqlWriteExecutor(operation(dsn))
        assert (await write(executor, "e-0")).type == "ok"  # connected and prepared
        async with admin_of(dsn) as admin, admin_of(dsn) as locker, locker.transaction():
            await locker.execute("LOCK TABLE probe_ledger")
            writing = asyncio.ensure_future(write(executor, "e-1"))
            pid = await until(admin, BLOCKED, "the write waits")
            await admin.execute("SELECT pg_terminate_backend($1)", pid)
            outcome = await writing
        assert outcome.type == "info"
        assert outcome.error in ("57P01", "disconnected"), "by whether the notice outran the close"
        await executor.close()

    run(main())


def test_a_session_ended_while_idle_costs_no_operation(dsn: str) -> None:
    async def main() -> None:
        executor = SqlWriteExecutor(operation(dsn))
        assert (await write(executor, "f-0")).type == "ok"
        async with admin_of(dsn) as admin:
            mine = "FROM pg_stat_activity WHERE application_name = 'blackstart-load'"
            await admin.execute(f"SELECT pg_terminate_backend(pid) {mine}")
        (session,) = executor._idle
        async with asyncio.timeout(10):
            while session.usable():  # the server is done with it before the client hears of it
                await asyncio.sleep(0.02)
        assert (await write(executor, "f-1")).type == "ok"
        await executor.close()

    run(main())


@pytest.mark.parametrize(("how", "error"), [("pg_cancel_backend", "warning"), ("pg_terminate_backend", None)])
def test_a_commit_that_gave_up_on_its_standby_is_no_acknowledgement(
    dsn: str, how: str, error: str | None
) -> None:
    async def main() -> None:
        executor = SqlWriteExecutor(operation(dsn))
        async with admin_of(dsn) as admin:
            async with setting(admin, "synchronous_standby_names", "nobody"):
                writing = asyncio.ensure_future(write(executor, f"g-{how}"))
                pid = await until(admin, WAITING, "the commit waits for the standby")
                await admin.execute(f"SELECT {how}($1)", pid)
                outcome = await writing
            assert outcome.type == "info"
            assert error in (None, outcome.error)
            assert await admin.fetchval(f"SELECT count(*) FROM probe_ledger WHERE id = 'g-{how}'") == 1
        await executor.close()

    run(main())


def test_a_statement_that_cannot_be_prepared_is_a_certain_failure(dsn: str) -> None:
    async def main() -> None:
        executor = SqlWriteExecutor(operation(dsn, statement="INSERT INTO nowhere VALUES ($1, $2)"))
        outcome = await write(executor, "h-1")
        assert (outcome.type, outcome.error) == ("fail", "42P01")
        assert "nowhere" in outcome.fields["detail"]

    run(main())


def test_nobody_listening_is_a_certain_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def main() -> None:
        outcome = await write(SqlWriteExecutor(operation(f"postgresql://app@127.0.0.1:{port}/app")), "i-1")
        assert (outcome.type, outcome.error) == ("fail", "refused")

    run(main())


def test_a_proxy_that_accepts_and_closes_is_a_certain_failure() -> None:
    async def main() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        outcome = await write(SqlWriteExecutor(operation(f"postgresql://app@127.0.0.1:{port}/app")), "j-1")
        assert outcome.type == "fail"
        assert (outcome.error or "").startswith("connect-")

    run(main())


def test_a_stalled_server_loses_nothing_acknowledged(dsn: str, container: Container, tmp_path: Path) -> None:
    plan = LoadPlan(
        operations=(SqlWrite(f="sql", rate=100, dsn=dsn, deadline="500ms", keys=4),),
        closing=(SqlRead(f="sql-final", dsn=dsn, key_from="sql"),),
    )
    load = LoadProcess(plan, tmp_path, time.monotonic_ns())

    def ended(condition: Callable[[dict[str, Any]], bool]) -> bool | None:
        history = load.history.read_bytes().splitlines()[1:]
        return sum(condition(orjson.loads(line)) for line in history) >= 20 or None

    try:
        load.start()
        load.wait_clean()
        container.pause()
        late = ("timeout", "connect-timeout")
        wait_for("writes time out", lambda: ended(lambda line: line.get("error") in late), limit="15s")
        container.unpause()
        load.wait_clean()
        load.stop()
        assert load.final_reads("10s") == []
        found = check(load.history)
        assert (found["verdict"], found["lost"], found["split_brain"]) == ("pass", [], [])
    finally:
        load.kill()
