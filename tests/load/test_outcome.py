"""ok, fail only if proven not applied, info for all the rest."""

from __future__ import annotations

import pytest

from blackstart.load.operations import HttpOperation
from blackstart.load.outcome import of_answer, of_sqlstate

WRITE = HttpOperation(f="w", urls=("http://a",), id="{id}", ack="turn.id")
READ = HttpOperation(f="r", urls=("http://a",), ids_from="ids", not_found=(404,))


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, {}, b'{"turn": {"id": "7"}}', ("ok", None)),
        (201, {}, b'{"turn": {"id": "7"}}', ("ok", None)),
        (200, {}, b'{"turn": {"id": "8"}}', ("info", "not-acknowledged")),
        (200, {}, b"", ("info", "not-acknowledged")),
        (200, {}, b'{"turn"', ("info", "bad-json")),
        (302, {}, b"", ("info", "http-302")),
        (409, {}, b"", ("fail", "http-409")),
        (500, {}, b"", ("info", "http-500")),
        (503, {}, b"", ("info", "http-503")),
        (503, {"x-not-applied": "true"}, b"", ("fail", "http-503")),
        (503, {"x-not-applied": "false"}, b"", ("info", "http-503")),
        (502, {"x-not-applied": "true"}, b"", ("info", "http-502")),
    ],
)
def test_writes(status: int, headers: dict[str, str], body: bytes, expected: tuple[str, str | None]) -> None:
    outcome = of_answer(WRITE, status, headers, body, "7")
    assert (outcome.type, outcome.error) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"ids": ["a", 1]}', ("ok", ["a", 1])),
        (404, b"", ("ok", [])),
        (200, b'{"ids": "ab"}', ("info", None)),
        (200, b'{"ids": [true]}', ("info", None)),
        (200, b"[]", ("info", None)),
        (500, b'{"ids": []}', ("info", None)),
    ],
)
def test_reads(status: int, body: bytes, expected: tuple[str, list[object] | None]) -> None:
    outcome = of_answer(READ, status, {}, body, "")
    assert (outcome.type, outcome.ids) == expected


def test_an_ok_carries_what_the_answer_says_of_itself() -> None:
    plain = HttpOperation(f="p", urls=("http://a",))
    body = b'{"degraded": ["cache"], "replica": "app-2", "answer": "long"}'
    assert of_answer(plain, 200, {}, body, "").fields == {"degraded": ["cache"], "replica": "app-2"}


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b'{"turn": {"id": "7"}}'), (200, b"{}"), (200, b"{"), (409, b""), (500, b""), (503, b"")],
)
def test_whatever_it_is_it_names_the_trace_that_the_answer_names(status: int, body: bytes) -> None:
    assert of_answer(WRITE, status, {"x-trace-id": "t1"}, body, "7").fields == {"trace_id": "t1"}
    assert of_answer(WRITE, status, {}, body, "7").fields == {}


STREAM = HttpOperation(
    f="s",
    urls=("http://a",),
    id="{id}",
    ack="id",
    stream={"piece": "token.text", "void": "reset", "done": "done", "whole": "answer"},
)
TOKENS = b'event: token\ndata: {"text": "a "}\n\nevent: token\ndata: {"text": "b"}\n\n'
DONE = b'event: done\ndata: {"id": "7", "answer": "a b", "degraded": ["no-tool"]}\n\n'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (TOKENS + DONE, ("ok", None)),
        (DONE, ("ok", None)),
        (b'event: token\ndata: {"text": "x"}\n\nevent: reset\ndata: {}\n\n' + TOKENS + DONE, ("ok", None)),
        (b'event: token\ndata: {"text": "x"}\n\n' + TOKENS + DONE, ("info", "incoherent")),
        (TOKENS, ("info", "no-end")),
        (TOKENS + b'event: error\ndata: {"status": 503}\n\n', ("info", "event-error")),
        (TOKENS + b"event: done\ndata: {\n\n", ("info", "bad-json")),
        (DONE.replace(b"7", b"8"), ("info", "not-acknowledged")),
        (b"", ("info", "no-end")),
    ],
)
def test_a_stream_is_ok_if_what_was_said_is_the_answer(body: bytes, expected: tuple[str, str | None]) -> None:
    outcome = of_answer(STREAM, 200, {}, body, "7")
    assert (outcome.type, outcome.error) == expected
    assert outcome.type != "ok" or outcome.fields == {"degraded": ["no-tool"]}


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        *(
            (state, "fail")
            for state in ("25006", "57P03", "40001", "40P01", "53300", "42P01", "23505", "55000")
        ),
        *(
            (state, "info")
            for state in ("57P01", "57P02", "57014", "40003", "08006", "53100", "58030", "XX000")
        ),
    ],
)
def test_sqlstates(state: str, kind: str) -> None:
    assert of_sqlstate(state).type == kind
