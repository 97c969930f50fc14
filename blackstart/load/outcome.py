"""How an operation ended: ok, fail or info, in Jepsen's sense.

ok: acknowledged. fail: *proven* not applied. info: indeterminate, and that is anything not proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from blackstart.load.events import Incoherent, answer_of
from blackstart.load.events import dig as _dig
from blackstart.load.operations import HttpOperation

EXTRAS = ("degraded", "replica", "trace_id")
"""Fields of a JSON answer that are copied to the ok line."""

NOT_APPLIED = ("25006", "57P03", "40001", "40P01", "53300")
"""SQLSTATEs that prove it: read-only transaction, not accepting connections, serialization failure,
deadlock, too many connections."""

NOT_APPLIED_CLASSES = ("0A", "22", "23", "28", "3D", "42", "55")
"""Classes of SQLSTATE that an autocommitted statement gets before it commits: unsupported, data,
constraint, authorization, no such database, syntax and names, object not in the required state."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The completion of an operation; `ids` of a read, `node` of a write, `fields` added to the line."""

    type: str
    error: str | None = None
    ids: list[Any] | None = None
    node: dict[str, Any] | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def fail(cls, error: str, **fields: Any) -> Outcome:
        """Proven not applied."""
        return cls("fail", error, fields=fields)

    @classmethod
    def info(cls, error: str, **fields: Any) -> Outcome:
        """Indeterminate."""
        return cls("info", error, fields=fields)


def of_sqlstate(state: str, message: str = "") -> Outcome:
    """The outcome of a statement that the server answered with an error."""
    detail = {"detail": message[:200]} if message else {}
    if state in NOT_APPLIED or state[:2] in NOT_APPLIED_CLASSES:
        return Outcome.fail(state, **detail)
    return Outcome.info(state, **detail)


def of_answer(
    operation: HttpOperation, status: int, headers: Mapping[str, str], body: bytes, ident: str
) -> Outcome:
    """The outcome of a complete HTTP answer; names of `headers` are in lower case. Whatever it is, it carries
    the trace of an `X-Trace-Id`.

    2xx ok, 4xx fail, 503 with `X-Not-Applied: true` fail, the rest info. A 2xx whose body lacks what the
    operation asks for (`ack`, `ids_from`) acknowledges nothing: info. So does a stream that is no answer.
    """
    traced = {"trace_id": headers["x-trace-id"][:64]} if "x-trace-id" in headers else {}
    if operation.is_read and status in operation.not_found:
        return Outcome("ok", ids=[], fields={"status": status, **traced})
    if not 200 <= status < 300:
        refused = status == 503 and headers.get("x-not-applied", "").lower() == "true"
        certain = refused or 400 <= status < 500
        return (Outcome.fail if certain else Outcome.info)(f"http-{status}", **traced)
    answer: Any = None
    if operation.stream:
        try:
            answer = answer_of(body, operation.stream)
        except Incoherent as error:
            return Outcome.info(str(error), **traced)
    elif body[:1] == b"{":
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Outcome.info("bad-json", **traced)
    if operation.ack is not None and _dig(answer, operation.ack) != ident:
        return Outcome.info("not-acknowledged", **traced)
    ids = None
    if operation.ids_from is not None:
        ids = _dig(answer, operation.ids_from)
        if not isinstance(ids, list) or not all(type(each) in (str, int) for each in ids):
            return Outcome.info("no-ids", **traced)
    fields = {name: answer[name] for name in EXTRAS if name in answer} if answer else {}
    return Outcome("ok", ids=ids, fields={**traced, **fields})
