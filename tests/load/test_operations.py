"""Operations and plans are data: they round-trip, and what is wrong is named with what is valid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from blackstart.load import templates
from blackstart.load.operations import HttpOperation, LoadPlan, Operation, SqlRead, SqlWrite
from blackstart.model.errors import ConfigError

CHAT = HttpOperation(
    f="chat",
    rate=10,
    method="POST",
    urls=("http://a:1", "http://b:1"),
    path="/chat",
    headers={"Authorization": "Bearer hidden", "Idempotency-Key": "{id}"},
    body={"session": "{session}", "message": "{prompt}"},
    id="{id}",
    ack="id",
    deadline="5s",
)
PLAN = LoadPlan(
    operations=(CHAT, SqlWrite(f="sql", rate=100, dsn="postgresql://app:hidden@pg:5000/app")),
    closing=(
        HttpOperation(f="read", urls=("http://a:1",), path="/s/{session}", key_from="chat", ids_from="ids"),
        SqlRead(f="sql-read", dsn="postgresql://pg/app?password=hidden&x=1", key_from="sql"),
    ),
    seed=7,
)


def test_a_plan_survives_json() -> None:
    assert LoadPlan.from_json(orjson.dumps(PLAN.to_dict())) == PLAN


def test_the_public_form_holds_no_secret() -> None:
    shown = orjson.dumps(PLAN.public_dict()).decode()
    assert "hidden" not in shown
    assert "{id}" in shown
    assert "app:***@pg:5000/app" in shown


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"kind": "smtp", "f": "x"}, "valid are http, sql-read, sql-write"),
        ({"kind": "sql-write", "f": "x", "dsn": "d", "speed": 1}, "unknown field speed; valid are"),
        ({"kind": "sql-write", "f": "x"}, "dsn"),
        ({"kind": "http", "f": "x", "urls": ["http://a"], "path": "/{nobody}"}, "{run}, {session}, {id}"),
        ({"kind": "http", "f": "x", "urls": ["http://a"], "body": [{"a": "{who}"}]}, "unknown {who}"),
        ({"kind": "http", "f": "x", "urls": ["ftp://a"]}, "not an http"),
        ({"kind": "http", "f": "x", "urls": []}, "no urls"),
        ({"kind": "http", "f": "x", "urls": ["http://a"], "method": "HEAD"}, "valid are GET"),
        ({"kind": "http", "f": "x", "urls": ["http://a"], "headers": {"a": "b\r\nc: d"}}, "line end"),
        ({"kind": "http", "f": "x", "urls": ["http://a"], "deadline": 0}, "deadline"),
    ],
)
def test_a_wrong_operation_is_named(data: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        Operation.from_dict(data)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"operations": (CHAT, CHAT)}, "distinct"),
        ({"operations": (SqlWrite(f="w", dsn="d"),), "closing": ()}, "rate must be positive"),
        ({"closing": (SqlRead(f="r", dsn="d", key_from="chats"),)}, "valid are chat, sql"),
        ({"closing": (SqlRead(f="r", dsn="d"),)}, "a read with key_from"),
        ({"max_in_flight": 0}, "max_in_flight"),
    ],
)
def test_a_wrong_plan_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        LoadPlan(**{"operations": PLAN.operations, "closing": PLAN.closing, **change})
    assert says in str(error.value)


def test_values_in_a_body_are_escaped() -> None:
    render = templates.compile_json({"message": "say {prompt} twice: {prompt}", "{id}": 1})
    text = render({"prompt": 'a "b"\n', "id": "7"})
    assert orjson.loads(text) == {"message": 'say a "b"\n twice: a "b"\n', "7": 1}


def test_prompts_never_repeat_within_and_between_runs() -> None:
    one, other = templates.Prompts("r1", 0), templates.Prompts("r2", 0)
    taken = [prompts.take(n) for prompts in (one, other) for n in range(500)]
    assert len(set(taken)) == len(taken)


def test_rates_can_be_changed_by_kind() -> None:
    name = PLAN.operations[0].f
    changed = PLAN.at_rates({name: 7})
    assert [o.rate for o in changed.operations] == [7, *(o.rate for o in PLAN.operations[1:])]
    assert changed.closing == PLAN.closing
    assert PLAN.at_rates({}) == PLAN
    with pytest.raises(ConfigError, match=rf"no operation chatt; it has: {name}"):
        PLAN.at_rates({"chatt": 1})
    with pytest.raises(ConfigError, match="rate must be positive"):
        PLAN.at_rates({name: 0})


def test_an_optional_kind_runs_only_where_it_is_given_a_rate() -> None:
    direct = SqlWrite(f="direct", dsn="d")
    final = SqlRead(f="direct-final", dsn="d", key_from="direct")
    plan = replace(PLAN, closing=(*PLAN.closing, final), optional=(direct,))
    assert LoadPlan.from_dict(plan.to_dict()) == plan
    assert plan.at_rates({}) == PLAN
    chosen = plan.at_rates({"direct": 20})
    assert chosen.operations[-1].rate == 20
    assert chosen.closing[-1] == final
    assert chosen.optional == ()
