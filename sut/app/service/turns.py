"""The turns' tables, and the session's lock under which they are written.

One writer per session: a turn holds Postgres' advisory lock of its session on the very connection that
carries its checkpoints and its result. If the connection dies, the lock and the right to write die together,
so no second writer is possible and no fencing token is needed. Under the lock, a look-up before the insert
makes the idempotency key effective without a constraint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from opentelemetry.trace import SpanKind

from .content import PLAIN, Box
from .database import Connection
from .errors import BUSY, SPENT, Broken, Refusal
from .state import HISTORY, LISTED, Answer, Exchange, Turn
from .tracing import traced
from .usage import Usage

#: Before a session's name, the name of its thread of checkpoints. Approvals have theirs in the same table
#: (module `approval`), and a client names its sessions as it likes: none may be the thread of anything else.
THREAD = "chat:"

# One statement, one commit: the owner, the admission, the stored answer if there is one, and the session's
# last exchanges, to which nobody adds while the lock is held. It always writes (`touched`), so its commit
# waits for the standby, and with it for every older commit that the look-up saw: an answer is never replayed
# before it is as safe as when it was first given.
ADMIT = """
WITH owner AS (
    INSERT INTO sessions (session, sub) VALUES (%(session)s, %(sub)s)
    ON CONFLICT (session) DO UPDATE SET touched = now() RETURNING sub, cost_micros
), earlier AS (
    SELECT message, billed FROM admissions WHERE session = %(session)s AND id = %(id)s LIMIT 1
), stored AS (
    SELECT message, answer, degraded, model FROM turns
    WHERE session = %(session)s AND id = %(id)s ORDER BY seq LIMIT 1
), recent AS (
    SELECT seq, message, answer FROM turns WHERE session = %(session)s ORDER BY seq DESC LIMIT %(history)s
), admitted AS (
    INSERT INTO admissions (session, id, message, trace_id)
    SELECT %(session)s, %(id)s, %(message)s, %(trace)s FROM owner
    WHERE sub = %(sub)s AND NOT EXISTS (SELECT FROM earlier)
    AND (%(budget)s::bigint IS NULL OR cost_micros < %(budget)s)
)
SELECT owner.sub AS sub, owner.cost_micros, earlier.message AS earlier, earlier.billed,
    stored.answer, stored.degraded, stored.model,
    (SELECT json_agg(json_build_array(message, answer) ORDER BY seq) FROM recent) AS history
FROM owner LEFT JOIN earlier ON true LEFT JOIN stored ON true
"""

# The turn, and what it cost on its session's bill: both or neither.
STORE = """
WITH stored AS (
    INSERT INTO turns (session, id, message, answer, degraded, model, replica, trace_id)
    SELECT %(session)s, %(id)s, %(message)s, %(answer)s, %(degraded)s, %(model)s, %(replica)s, %(trace)s
    WHERE %(always)s OR NOT EXISTS (SELECT FROM turns WHERE session = %(session)s AND id = %(id)s)
    RETURNING seq
), billed AS (
    UPDATE sessions SET prompt_tokens = prompt_tokens + %(prompt_tokens)s,
        completion_tokens = completion_tokens + %(completion_tokens)s,
        cost_micros = cost_micros + %(cost)s
    WHERE session = %(session)s AND EXISTS (SELECT FROM stored)
)
SELECT seq FROM stored
"""

# What a turn without an answer cost, and that it did: the same key is no way past the budget.
CHARGE = """
WITH charged AS (
    UPDATE admissions SET billed = true WHERE session = %(session)s AND id = %(id)s
)
UPDATE sessions SET prompt_tokens = prompt_tokens + %(prompt_tokens)s,
    completion_tokens = completion_tokens + %(completion_tokens)s, cost_micros = cost_micros + %(cost)s
WHERE session = %(session)s
"""

READ = """
SELECT s.sub, s.prompt_tokens, s.completion_tokens, s.cost_micros, t.id, t.message, t.answer
FROM sessions s LEFT JOIN LATERAL (
    SELECT * FROM turns WHERE session = s.session ORDER BY seq DESC LIMIT %(limit)s
) t ON true
WHERE s.session = %(session)s ORDER BY t.seq
"""


@dataclass(frozen=True)
class Admission:
    """`again`: the key was admitted before; `stored`: it was even answered; `history`: oldest first."""

    again: bool
    stored: Answer | None
    history: tuple[Exchange, ...] = ()


@traced("db lock", SpanKind.CLIENT)
async def lock(conn: Connection, session: str) -> None:
    """Become the session's one writer; raises Refusal 503 if another one holds it for too long."""
    try:
        await conn.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (session,))
    except psycopg.errors.LockNotAvailable:
        raise Refusal(503, BUSY, retry_after=1) from None


async def unlock(conn: Connection, session: str) -> None:
    """Let the session go; raises Broken if this connection had lost it."""
    cursor = await conn.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0)) AS held", (session,))
    row = await cursor.fetchone()
    if row is None or not row["held"]:
        raise Broken("the session's lock was not held")


@traced("db admit", SpanKind.CLIENT)
async def admit(
    conn: Connection, turn: Turn, box: Box = PLAIN, budget_micros: int | None = None
) -> Admission:
    """Record the turn before any work; raises Refusal 402, 403 or 422, Unreadable, or psycopg.Error.

    A session that has cost its budget gets no new turn. One that was admitted before is finished, unless it
    ended without an answer and was charged for that: then it begins anew, as a new one does.
    """
    cursor = await conn.execute(
        ADMIT,
        {
            "session": turn.session,
            "id": turn.id,
            "sub": turn.subject,
            "message": box.seal(turn.message),
            "trace": turn.trace_id,
            "history": HISTORY,
            "budget": budget_micros,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise Broken("the admission returned nothing")
    if row["sub"] != turn.subject:
        raise Refusal(403, "the session belongs to someone else")
    if row["earlier"] is not None and box.open(row["earlier"]) != turn.message:
        raise Refusal(422, "this idempotency key was used for another message")
    begins = row["earlier"] is None or (row["billed"] and row["answer"] is None)
    if budget_micros is not None and begins and row["cost_micros"] >= budget_micros:
        # Not 429: clients wait and ask again after that, and here no waiting helps.
        raise Refusal(402, SPENT, not_applied=True)
    stored = None
    if row["answer"] is not None:
        stored = Answer(box.open(row["answer"]), tuple(row["degraded"]), row["model"], replayed=True)
    history = tuple((box.open(asked), box.open(answered)) for asked, answered in row["history"] or ())
    return Admission(again=row["earlier"] is not None, stored=stored, history=history)


@traced("db store", SpanKind.CLIENT)
async def store(
    conn: Connection, turn: Turn, answer: Answer, replica: str, box: Box = PLAIN, *, always: bool = False
) -> Answer:
    """Store the answer unless the key has one (or `always`); returns the one that stands.

    Call with the lock held.
    """
    cursor = await conn.execute(
        STORE,
        {
            "session": turn.session,
            "id": turn.id,
            "message": box.seal(turn.message),
            "answer": box.seal(answer.text),
            "degraded": list(answer.degraded),
            "model": answer.model,
            "replica": replica,
            "trace": turn.trace_id,
            "always": always,
            "prompt_tokens": answer.usage.prompt,
            "completion_tokens": answer.usage.completion,
            "cost": answer.usage.micros,
        },
    )
    if await cursor.fetchone() is not None:
        return answer
    admission = await admit(conn, turn, box)
    return admission.stored or answer


@traced("db charge", SpanKind.CLIENT)
async def charge(conn: Connection, turn: Turn, usage: Usage) -> None:
    """Put what a turn used that got no answer on its session's bill; raises psycopg.Error.

    Call with the lock held.
    """
    await conn.execute(
        CHARGE,
        {
            "session": turn.session,
            "id": turn.id,
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "cost": usage.micros,
        },
    )


@traced("db read", SpanKind.CLIENT)
async def read_session(
    conn: Connection, session: str, subject: str, box: Box = PLAIN, limit: int = LISTED
) -> dict[str, Any]:
    """The session's last `limit` turns in order, and whether there are `more`; an unknown one is empty.

    Raises Refusal 403, Unreadable, or psycopg.Error.
    """
    rows = await (await conn.execute(READ, {"session": session, "limit": limit + 1})).fetchall()
    if rows and rows[0]["sub"] != subject:
        raise Refusal(403, "the session belongs to someone else")
    turns = [
        {"id": row["id"], "message": box.open(row["message"]), "answer": box.open(row["answer"])}
        for row in rows[-limit:]
        if row["id"] is not None
    ]
    bill = [rows[0][name] for name in ("prompt_tokens", "completion_tokens", "cost_micros")] if rows else ()
    return {
        "session": session,
        "ids": [turn["id"] for turn in turns],
        "turns": turns,
        "more": len(rows) > limit,
        "usage": Usage(*bill).shown(),
    }
