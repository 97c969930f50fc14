"""Jobs as their clients see them: accepted, read, resumed.

The table `jobs` is the outbox and the truth: a job is accepted by one row, in one commit, and from then on
is owed a result. What the workers are told through Redis (module `stream`) is only a hint that says where to
look, and may be lost or doubled.

`job_results` has no unique constraint on purpose, as `turns` has none: fencing keeps a second result out
(module `leases`), and a drill that breaks the fencing must be able to see both.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from .content import PLAIN, Box
from .database import CROWDED, Connection, Pool, checkout
from .deadline import current
from .errors import Broken, Refusal
from .state import LISTED

log = logging.getLogger(__name__)
T = TypeVar("T")
Row = Mapping[str, Any]

#: What a worker can be asked to do: see module `work`.
KINDS = ("approval", "chat", "summary")
#: A job in one of these is owed work. `waiting` is for a person's decision, the rest is settled.
OWED = ("queued", "running")

TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sub text NOT NULL, id text NOT NULL, session text NOT NULL, kind text NOT NULL, input text NOT NULL,
    trace_id text NOT NULL, accepted_at timestamptz NOT NULL DEFAULT now(), asked int NOT NULL DEFAULT 1,
    status text NOT NULL DEFAULT 'queued', reason text,
    due_at timestamptz NOT NULL DEFAULT now(), published int NOT NULL DEFAULT 0,
    epoch int NOT NULL DEFAULT 0, deliveries int NOT NULL DEFAULT 0, worker text, lease_until timestamptz,
    thread text, question text, decision text, decision_key text,
    UNIQUE (sub, id));
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS settled_at timestamptz;
CREATE INDEX IF NOT EXISTS jobs_settled ON jobs (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_owed ON jobs (due_at) WHERE status IN ('queued', 'running');
CREATE INDEX IF NOT EXISTS jobs_by_session ON jobs (sub, session, seq);
CREATE TABLE IF NOT EXISTS job_results (
    seq bigint GENERATED ALWAYS AS IDENTITY, job bigint NOT NULL, epoch int NOT NULL, worker text NOT NULL,
    answer text NOT NULL, degraded text[] NOT NULL, model text NOT NULL,
    at timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS job_results_by_job ON job_results (job, seq);
"""

# It always writes (`asked`), so that a replayed acknowledgement waits for the standby like the first one.
ACCEPT = """
INSERT INTO jobs (sub, id, session, kind, input, trace_id)
VALUES (%(sub)s, %(id)s, %(session)s, %(kind)s, %(input)s, %(trace)s)
ON CONFLICT (sub, id) DO UPDATE SET asked = jobs.asked + 1
RETURNING *
"""

READ = """
SELECT j.*, r.answer, r.degraded, r.model, r.worker AS done_by FROM jobs j LEFT JOIN LATERAL (
    SELECT * FROM job_results WHERE job = j.seq ORDER BY seq LIMIT 1) r ON true
WHERE j.sub = %s AND j.id = %s
"""

LIST = """
SELECT j.id, j.status, r.job IS NOT NULL AS stored FROM (
    SELECT seq, id, status FROM jobs WHERE sub = %s AND session = %s ORDER BY seq DESC LIMIT %s
) j LEFT JOIN job_results r ON r.job = j.seq ORDER BY j.seq, r.seq
"""

QUIET = """
SELECT extract(epoch FROM now() - accepted_at)::float8 AS seconds FROM jobs
WHERE sub = %s ORDER BY seq DESC LIMIT 1
"""

DECIDE = """
UPDATE jobs SET decision = %(decision)s, decision_key = %(key)s, status = 'queued',
    due_at = now(), published = 0, deliveries = 0
WHERE seq = %(seq)s
"""


@dataclass(frozen=True)
class NewJob:
    """What a client asks for; `id` is the idempotency key, unique for each subject.

    Without a session it gets one of its own, by a name that nobody can have taken before.
    """

    subject: str
    id: str
    session: str | None
    kind: str
    input: str
    trace_id: str


@dataclass(frozen=True)
class Decision:
    """A person's answer to a job that waits for it."""

    approved: bool
    note: str = ""

    def dump(self) -> str:
        """As stored, and as the graph is given it back."""
        return json.dumps({"approved": self.approved, "note": self.note}, sort_keys=True)


@dataclass(frozen=True)
class Jobs:
    """The clients' side of the queue, for any replica. `deadline` in seconds, two attempts included."""

    pool: Pool
    deadline: float
    box: Box = PLAIN
    on_trouble: Callable[[], None] = lambda: None

    async def accept(self, job: NewJob) -> dict[str, Any]:
        """Record the job, or find it again by its key; raises Refusal."""
        return await self._try(lambda conn: accept(conn, job, self.box))

    async def read(self, id: str, subject: str) -> dict[str, Any]:
        """The job as it is now, on the primary; raises Refusal, 404 for one never accepted."""
        return await self._try(lambda conn: read(conn, id, subject, self.box))

    async def of_session(
        self, session: str, subject: str, settle: float, limit: int = LISTED
    ) -> dict[str, Any]:
        """The session's last `limit` jobs, see `listing`; raises Refusal."""
        return await self._try(lambda conn: of_session(conn, session, subject, settle, limit))

    async def resume(self, id: str, subject: str, key: str, decision: Decision) -> dict[str, Any]:
        """Record the decision and owe the job work again; raises Refusal. The same key may ask twice."""
        return await self._try(lambda conn: resume(conn, id, subject, key, decision, self.box))

    async def _try(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run it, once more if the connection broke: everything here may safely be done twice."""
        sent = False
        try:
            async with asyncio.timeout_at(current(self.deadline).ends):
                for last in (False, True):
                    try:
                        async with checkout(self.pool, self.deadline / 2) as conn:
                            sent = True
                            return await work(conn)
                    except Broken:
                        if last:
                            raise
            raise AssertionError("unreachable")
        except (TimeoutError, PoolTimeout, Broken) as error:
            self.on_trouble()
            raise Refusal(503, "the database does not answer", retry_after=1, not_applied=not sent) from error
        except TooManyRequests as error:
            raise Refusal(503, CROWDED, retry_after=1, not_applied=not sent) from error
        except psycopg.errors.UndefinedTable as error:
            raise Refusal(503, "the schema is not made yet", retry_after=1, not_applied=True) from error
        except psycopg.Error as error:
            log.exception("the database refused")
            raise Refusal(503, "the database refused", retry_after=1) from error


async def accept(conn: Connection, job: NewJob, box: Box = PLAIN) -> dict[str, Any]:
    """Raises Refusal 422 where the key belongs to another job, Unreadable, or psycopg.Error."""
    cursor = await conn.execute(
        ACCEPT,
        {
            "sub": job.subject,
            "id": job.id,
            "session": job.session or f"job-{uuid4()}",
            "kind": job.kind,
            "input": box.seal(job.input),
            "trace": job.trace_id,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise Broken("the acceptance returned nothing")
    session = job.session or row["session"]
    if (row["session"], row["kind"], box.open(row["input"])) != (session, job.kind, job.input):
        raise Refusal(422, "this idempotency key was used for another job")
    return {**shown(row, box), "replayed": row["asked"] > 1}


async def read(conn: Connection, id: str, subject: str, box: Box = PLAIN) -> dict[str, Any]:
    """Raises Refusal 404, Unreadable, or psycopg.Error."""
    row = await (await conn.execute(READ, (subject, id))).fetchone()
    if row is None:
        raise Refusal(404, "no such job")
    found = shown(row, box)
    if row["answer"] is not None:
        answer = box.open(row["answer"])
        found["result"] = {"answer": answer, "model": row["model"], "worker": row["done_by"]}
        found["degraded"] = sorted(row["degraded"])
    return found


async def of_session(
    conn: Connection, session: str, subject: str, settle: float, limit: int = LISTED
) -> dict[str, Any]:
    """Raises Refusal 409 while jobs are under way that `settle` allows to wait for, or psycopg.Error."""
    quiet = await (await conn.execute(QUIET, (subject,))).fetchone()
    rows = await (await conn.execute(LIST, (subject, session, limit + 1))).fetchall()
    seconds = quiet["seconds"] if quiet else 0.0
    return {"session": session, **listing(rows, settle=settle, quiet=seconds, limit=limit)}


async def resume(
    conn: Connection, id: str, subject: str, key: str, decision: Decision, box: Box = PLAIN
) -> dict[str, Any]:
    """Raises Refusal 404, 409 or 422, Unreadable, or psycopg.Error."""
    async with conn.transaction():
        cursor = await conn.execute(
            "UPDATE jobs SET asked = asked + 1 WHERE sub = %s AND id = %s RETURNING *", (subject, id)
        )
        row = await cursor.fetchone()
        if not decided(row, key, decision, box):
            assert row is not None
            sealed = box.seal(decision.dump())
            await conn.execute(DECIDE, {"seq": row["seq"], "decision": sealed, "key": key})
    return await read(conn, id, subject, box)


def shown(row: Row, box: Box = PLAIN) -> dict[str, Any]:
    """A job's row as the API shows it."""
    names = ("id", "session", "kind", "status", "deliveries", "reason", "question", "trace_id")
    asked = row["question"]
    return {name: row[name] for name in names} | {"question": asked and box.open(asked)}


def listing(rows: Sequence[Row], *, settle: float, quiet: float, limit: int = LISTED) -> dict[str, Any]:
    """`ids` of what is done, once a stored result, every job with its status, and whether there are `more`.

    Only the last `limit` jobs of `rows` are told of. `quiet` is how long ago the user's last job was
    accepted. Until that is `settle` seconds, a job under way makes it a Refusal 409: a reader who wants the
    end of the story asks again. What is not done by then is left out of `ids`.
    """
    if quiet < settle and any(row["status"] in OWED for row in rows):
        raise Refusal(409, "jobs of this session are still under way", retry_after=1)
    statuses = {row["id"]: row["status"] for row in rows}
    last = dict(list(statuses.items())[-limit:])
    return {
        "ids": [row["id"] for row in rows if row["stored"] and row["id"] in last],
        "jobs": [{"id": id, "status": status} for id, status in last.items()],
        "more": len(statuses) > limit,
    }


def decided(row: Row | None, key: str, decision: Decision, box: Box = PLAIN) -> bool:
    """True if this very decision stands already, False if it can be made; raises Refusal otherwise."""
    if row is None:
        raise Refusal(404, "no such job")
    if row["decision_key"] == key:
        if box.open(row["decision"]) != decision.dump():
            raise Refusal(422, "this idempotency key was used for another decision")
        return True
    if row["status"] != "waiting":
        raise Refusal(409, f"the job is {row['status']}, it waits for no decision")
    return False
