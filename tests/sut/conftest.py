"""A throwaway Postgres for the tests that need one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from blackstart.platforms.engine import connect
from blackstart.platforms.waiting import wait_for
from blackstart.stack.images import ensure_images
from sut.app.service.database import DroppingConnection
from sut.app.service.schema import ensure_schema
from sut.stack import stack

START = """
set -e; bin=/usr/lib/postgresql/17/bin; data=/tmp/data
$bin/initdb -D $data -A trust -E UTF8 >/dev/null; echo 'host all all all trust' >> $data/pg_hba.conf
exec $bin/postgres -D $data -c listen_addresses=* -c unix_socket_directories=/tmp -c fsync=off
"""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """A throwaway Postgres with the service's schema, made from the stack's own image."""
    [image] = [image for image in stack.images() if image.name == "postgres"]
    tag = ensure_images([image], progress=print)["postgres"]
    run_id = f"test-{secrets.token_hex(4)}"
    container = connect().containers.run(
        tag,
        ["bash", "-c", START],
        entrypoint=["/usr/bin/tini", "--"],
        detach=True,
        user="postgres",
        name=f"bs-{run_id}-turns",
        labels={"blackstart.run": run_id},
        ports={"5432/tcp": ("127.0.0.1", 0)},
    )
    try:
        container.reload()
        [published] = container.ports["5432/tcp"] or []
        address = f"postgresql://postgres@127.0.0.1:{published['HostPort']}/postgres"
        wait_for("a connection to Postgres", lambda: _open(address), limit="20s").close()
        assert asyncio.run(_prepare(address))
        yield address
    finally:
        container.remove(force=True, v=True)


def _open(address: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(address, connect_timeout=2)


async def _prepare(address: str) -> bool:
    async with await DroppingConnection.connect(address, autocommit=True, row_factory=dict_row) as conn:
        return await ensure_schema(conn) and await ensure_schema(conn)
