"""What the clients of the sample stack do during a drill, and how it is put back between drills."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jwt
import requests

from blackstart.load.operations import WRITE, HttpOperation, LoadPlan, SqlRead, SqlWrite
from sut import patroni
from sut.certificates import front_url, trusted
from sut.settings import APP_PASSWORD, FRONTS, JWT_KID, JWT_SECRET, LLMS, POSTGRES, TOOLS

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

_SUBJECT = "load"
#: The question that many ask at once.
POPULAR = "What is asked more often than anything else?"
#: A write that is committed 4 s after it was made, by the node that made it.
LONG = f"WITH written AS ({WRITE}) SELECT written.*, pg_sleep(4)::text AS slept FROM written"
#: A second, of a drill that asks for no others: together less than a core of work for the whole stack, of
#: which a chat costs some 80 ms.
RATES = {"chat": 3.0, "session": 2.0, "sql-write": 25.0}
#: For how long after the load's end its jobs may still be under way; the closing reads have 30 s.
SETTLE_S = 15


def token(subject: str = _SUBJECT, valid_s: int = 3600, secret: str = JWT_SECRET, kid: str = JWT_KID) -> str:
    """A bearer token of the sample app for `subject`, valid for so many seconds, by the key called `kid`."""
    claims = {"sub": subject, "exp": int(time.time()) + valid_s}
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid})


def load(running: RunningStack) -> LoadPlan:
    """Chats and session reads through the fronts, and raw writes through the database proxy as a probe.

    Optional: raw writes past the proxy, or in long transactions; one question that many ask; jobs, which are
    acknowledged when accepted and must all be done; and chats whose answers are streamed.

    Chats have more sessions than can be in flight within their deadline: one that hangs holds up no other.
    """
    front = tuple(front_url(running, name) for name in FRONTS)
    ca = trusted(running.run_id)
    # Whoever cannot make a connection in time has some left for the other front.
    to_front: dict[str, Any] = {"urls": front, "ca": ca, "connect_timeout": "1s"}
    verified = f"sslmode=verify-full&sslrootcert={quote(ca)}"
    host, port = running.address("pgproxy-1", "primary")
    dsn = f"postgresql://app:{APP_PASSWORD}@{host}:{port}/app?{verified}"
    roles = running.role_map("postgres")
    nodes = ",".join(
        "{}:{}".format(*running.address(name, "postgres"))
        for name in sorted(POSTGRES, key=lambda name: roles.get(name) != "primary")
    )
    direct = f"postgresql://app:{APP_PASSWORD}@{nodes}/app?target_session_attrs=primary&{verified}"
    bearer = {"Authorization": f"Bearer {token()}"}
    session = HttpOperation(
        f="session",
        rate=RATES["session"],
        **to_front,
        path="/session/{session}",
        headers=bearer,
        ids_from="ids",
        key_from="chat",
        not_found=(404,),
        deadline="2s",
    )
    return LoadPlan(
        operations=(
            HttpOperation(
                f="chat",
                rate=RATES["chat"],
                method="POST",
                **to_front,
                path="/chat",
                headers={**bearer, "Idempotency-Key": "{id}"},
                body={"session": "{session}", "message": "{prompt}"},
                id="{id}",
                ack="id",
                keys=100,
                deadline="5s",
            ),
            session,
            SqlWrite(f="sql-write", rate=RATES["sql-write"], dsn=dsn, deadline="1s", keys=8),
        ),
        closing=(
            HttpOperation(
                f="session-final",
                **to_front,
                path="/session/{session}",
                headers=bearer,
                ids_from="ids",
                key_from="chat",
                not_found=(404,),
                deadline="5s",
            ),
            SqlRead(f="sql-final", dsn=dsn, key_from="sql-write", deadline="5s"),
            SqlRead(f="sql-direct-final", dsn=dsn, key_from="sql-direct", deadline="5s"),
            SqlRead(f="sql-long-final", dsn=dsn, key_from="sql-long", deadline="5s"),
            # Refused, and so tried again, while a job of the session is under way, but only until the last
            # job of all is so old: longer than a lost hint, a lost worker or a backoff holds a job up. What
            # is accepted and still not done is then left out, and lost.
            HttpOperation(
                f="job-final",
                **to_front,
                path="/jobs?session={session}&settle=" + str(SETTLE_S),
                headers=bearer,
                ids_from="ids",
                key_from="job",
                deadline="5s",
            ),
            HttpOperation(
                f="stream-final",
                **to_front,
                path="/session/{session}",
                headers=bearer,
                ids_from="ids",
                key_from="stream",
                not_found=(404,),
                deadline="5s",
            ),
        ),
        # A client that goes past the proxy, as a batch job with a DSN of all nodes does, first to the primary
        # of before: nobody cuts it off from one that is primary no more.
        optional=(
            SqlWrite(f="sql-direct", dsn=direct, deadline="1s", keys=8),
            SqlWrite(f="sql-long", dsn=dsn, deadline="8s", keys=8, statement=LONG),
            # Each in a session of its own, so that all ask the very same; no write of the ledger.
            HttpOperation(
                f="popular",
                rate=20,
                method="POST",
                **to_front,
                path="/chat",
                headers={**bearer, "Idempotency-Key": "popular-{run}-{seq}"},
                body={"session": "popular-{run}-{seq}", "message": POPULAR},
                deadline="5s",
            ),
            HttpOperation(
                f="job",
                rate=5,
                method="POST",
                **to_front,
                path="/jobs",
                headers={**bearer, "Idempotency-Key": "{id}"},
                body={"session": "{session}", "kind": "summary", "input": "{prompt}"},
                id="{id}",
                ack="id",
                keys=20,
                deadline="5s",
            ),
            HttpOperation(
                f="stream",
                rate=5,
                method="POST",
                **to_front,
                path="/chat/stream",
                headers={**bearer, "Idempotency-Key": "{id}"},
                body={"session": "{session}", "message": "{prompt}"},
                id="{id}",
                ack="id",
                stream={"piece": "token.text", "void": "reset", "done": "done", "whole": "answer"},
                keys=100,
                deadline="5s",
            ),
        ),
    )


def reset(running: RunningStack) -> None:
    """Between drills: providers and tool forget their faults and counts, and Patroni is not strict.

    Strictness is no fault that would be journaled: a drill that was killed leaves it. Raises
    requests.RequestException of a provider or tool, SteadyStateError if Patroni stays strict; one that does
    not answer is asked again at the next reset.
    """
    for name in (*LLMS, *TOOLS):
        requests.post(running.url(name, "http", "/admin/reset"), timeout=2).raise_for_status()
    for name in POSTGRES:
        config = running.url(name, "patroni", "/config")
        with suppress(requests.RequestException):
            if requests.get(config, timeout=2).json().get("synchronous_mode_strict"):
                patroni.configure(running, {"synchronous_mode_strict": False})
            return
