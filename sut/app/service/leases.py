"""Jobs as a worker holds them: claimed for a while, renewed, stored, given back.

A claim takes the job's next epoch, and whatever a worker writes names the epoch that it claimed. So a worker
that was frozen or cut off, and whose job another one has taken over meanwhile, can write nothing any more:
the epoch is a fencing token, and Postgres checks it in the writing statement itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from .content import PLAIN, Box
from .database import Connection, Pool, checkout
from .jobs import OWED, Row
from .state import Answer
from .usage import NOTHING, Usage

# Under the row's lock, so that of two workers with the same hint one sees the other's lease.
LOOK = """
SELECT *, lease_until > now() AS held, published = 0 AND due_at > now() AS resting FROM jobs
WHERE seq = %s FOR UPDATE
"""

# With whose the job's session is, if there is one yet, and what it has cost so far.
CLAIM = """
UPDATE jobs SET reason = CASE status WHEN 'running' THEN worker || ' lost its lease' ELSE reason END,
    status = 'running', worker = %(worker)s, epoch = epoch + 1, deliveries = deliveries + 1,
    lease_until = now() + make_interval(secs => %(lease)s),
    due_at = now() + make_interval(secs => %(lease)s + %(republish)s)
WHERE seq = %(seq)s
RETURNING *, (SELECT s.sub FROM sessions s WHERE s.session = jobs.session) AS owner,
    (SELECT s.cost_micros FROM sessions s WHERE s.session = jobs.session) AS spent
"""

BURY = """
UPDATE jobs SET status = 'dead', lease_until = NULL, settled_at = now(),
    reason = format('given up after %%s deliveries: %%s',
    deliveries, CASE status WHEN 'running' THEN worker || ' lost its lease' ELSE reason END)
WHERE seq = %(seq)s
"""

MINE = "seq = %(seq)s AND (%(unfenced)s OR (status = 'running' AND epoch = %(epoch)s))"

RENEW = """
UPDATE jobs SET lease_until = now() + make_interval(secs => %(lease)s),
    due_at = now() + make_interval(secs => %(lease)s + %(republish)s)
WHERE seq = %(seq)s AND status = 'running' AND epoch = %(epoch)s RETURNING seq
"""

# What the work cost, on its session's bill: in the statement that says what came of it, and so once.
BILLED = """billed AS (
    INSERT INTO sessions AS s (session, sub, prompt_tokens, completion_tokens, cost_micros)
    SELECT session, sub, %(prompt_tokens)s::bigint, %(completion_tokens)s::bigint, %(cost)s::bigint FROM held
    WHERE %(prompt_tokens)s::bigint + %(completion_tokens)s::bigint > 0
    ON CONFLICT (session) DO UPDATE SET prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = s.completion_tokens + excluded.completion_tokens,
        cost_micros = s.cost_micros + excluded.cost_micros
    WHERE s.sub = excluded.sub
)"""

STORE = f"""
WITH held AS (
    UPDATE jobs SET status = 'done', lease_until = NULL, settled_at = now(), reason = NULL WHERE {MINE}
    RETURNING seq, session, sub, extract(epoch FROM clock_timestamp() - accepted_at)::float8 AS seconds
), {BILLED}, stored AS (
    INSERT INTO job_results (job, epoch, worker, answer, degraded, model)
    SELECT seq, %(epoch)s, %(worker)s, %(answer)s, %(degraded)s::text[], %(model)s FROM held
)
SELECT seconds FROM held
"""

ASK = f"""
WITH held AS (
    UPDATE jobs SET status = 'waiting', lease_until = NULL, thread = %(thread)s, question = %(question)s
    WHERE {MINE} RETURNING seq, session, sub
), {BILLED}
SELECT seq FROM held
"""

END = f"""
WITH held AS (
    UPDATE jobs SET status = %(status)s, lease_until = NULL, settled_at = now(), reason = %(reason)s
    WHERE {MINE} RETURNING seq, session, sub
), {BILLED}
SELECT seq FROM held
"""

GIVE_BACK = f"""
WITH held AS (
    UPDATE jobs SET status = 'queued', lease_until = NULL, reason = %(reason)s, published = 0,
        deliveries = deliveries - %(spared)s, due_at = now() + make_interval(secs => %(delay)s)
    WHERE {MINE} RETURNING seq, session, sub
), {BILLED}
SELECT seq FROM held
"""


class LeaseLost(Exception):
    """Another worker has the job, or it is settled: what this one found out is of no use."""


class Verdict(Enum):
    """What to do about a hint."""

    TAKE = auto()
    HELD = auto()  # somebody works on it; look again when he has had his time
    DROP = auto()  # nothing to do, or not before the relay says so again
    BURY = auto()


@dataclass(frozen=True)
class Claim:
    """A job that this worker holds. `thread` and `decision` are set once it is resumed.

    `input` and `decision` are as stored, sealed: `opened` makes them readable. `owner` is whose the session
    is, None where there is none yet; `spent` what it has cost, in millionths of a dollar.
    """

    seq: int
    epoch: int
    deliveries: int
    subject: str
    id: str
    session: str
    kind: str
    input: str
    trace_id: str
    thread: str | None = None
    decision: str | None = None
    owner: str | None = None
    spent: int = 0

    def opened(self, box: Box) -> Claim:
        """The claim with its texts readable; raises Unreadable."""
        decision = None if self.decision is None else box.open(self.decision)
        return replace(self, input=box.open(self.input), decision=decision)


@dataclass(frozen=True)
class Leases:
    """One worker's claims; times in seconds.

    A lease that is not renewed ends after `lease`, and the relay tells of the job again `republish` later.
    After `most` deliveries the job is dead. Without `reclaim` an ended lease is never taken over; without
    `fencing` a worker writes whether or not it still holds the job.
    """

    pool: Pool
    worker: str
    lease: float
    republish: float
    most: int
    patience: float = 1.0
    reclaim: bool = True
    fencing: bool = True
    box: Box = PLAIN

    async def claim(self, seq: int) -> tuple[Verdict, Claim | None]:
        """Look at the job and take it if it is free; raises Broken, PoolTimeout, psycopg.Error."""
        async with checkout(self.pool, self.patience) as conn, conn.transaction():
            found = await (await conn.execute(LOOK, (seq,))).fetchone()
            verdict = judge(found, most=self.most, reclaim=self.reclaim)
            if verdict is Verdict.BURY:
                await conn.execute(BURY, {"seq": seq})
            if verdict is not Verdict.TAKE:
                return verdict, None
            row = await _first(conn, CLAIM, {"seq": seq, "worker": self.worker, **self._times()})
        assert row is not None
        return verdict, _claim(row)

    async def renew(self, claim: Claim) -> bool:
        """Hold it for another `lease`; False if it is lost. Raises as `claim`."""
        return await self._write(RENEW, claim, NOTHING, **self._times()) is not None or not self.fencing

    async def store(self, claim: Claim, answer: Answer) -> float:
        """Settle the job; returns the seconds since its acceptance. Raises LeaseLost, else as `claim`."""
        written = await self._write(
            STORE,
            claim,
            answer.usage,
            worker=self.worker,
            answer=self.box.seal(answer.text),
            degraded=list(answer.degraded),
            model=answer.model,
        )
        return float(_held(written)["seconds"])

    async def ask(self, claim: Claim, thread: str, question: str, usage: Usage = NOTHING) -> None:
        """Let it wait for a decision on what the graph's `thread` asks; raises as `store`."""
        sealed = self.box.seal(question)
        _held(await self._write(ASK, claim, usage, thread=thread, question=sealed))

    async def end(self, claim: Claim, status: str, reason: str, usage: Usage = NOTHING) -> None:
        """Settle it without a result; raises as `store`."""
        _held(await self._write(END, claim, usage, status=status, reason=reason))

    async def give_back(
        self, claim: Claim, reason: str, *, delay: float, counted: bool, usage: Usage = NOTHING
    ) -> None:
        """Leave it to whoever comes, `delay` seconds from now; raises as `claim`. What is lost stays so.

        Where it is not `counted`, the job is not to blame, and this delivery is none of its last.
        """
        spared = 0 if counted else 1
        await self._write(GIVE_BACK, claim, usage, reason=reason, delay=delay, spared=spared)

    async def _write(self, statement: str, claim: Claim, usage: Usage = NOTHING, **values: Any) -> Row | None:
        known = {
            "seq": claim.seq,
            "epoch": claim.epoch,
            "unfenced": not self.fencing,
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "cost": usage.micros,
        }
        async with checkout(self.pool, self.patience) as conn:
            return await _first(conn, statement, {**known, **values})

    def _times(self) -> dict[str, float]:
        return {"lease": self.lease, "republish": self.republish}


def judge(row: Row | None, *, most: int, reclaim: bool) -> Verdict:
    """What a hint of the job in `row` is worth."""
    if row is None or row["status"] not in OWED or (row["status"] == "queued" and row["resting"]):
        return Verdict.DROP
    if row["status"] == "running" and (row["held"] or not reclaim):
        return Verdict.HELD
    return Verdict.BURY if row["deliveries"] >= most else Verdict.TAKE


def backoff(epoch: int, *, first: float = 0.5, longest: float = 8.0) -> float:
    """Seconds until a job is tried again whose epoch met a dependency that was down."""
    return min(longest, first * 2.0 ** min(epoch - 1, 16))


def _claim(row: Row) -> Claim:
    names = ("seq", "epoch", "deliveries", "id", "session", "kind", "input", "trace_id", "thread", "decision")
    known = {name: row[name] for name in names}
    return Claim(subject=row["sub"], owner=row["owner"], spent=row["spent"] or 0, **known)


def _held(row: Row | None) -> Row:
    if row is None:
        raise LeaseLost
    return row


async def _first(conn: Connection, statement: str, values: Mapping[str, Any]) -> Row | None:
    return await (await conn.execute(statement, values)).fetchone()
