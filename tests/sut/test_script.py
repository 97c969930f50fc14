"""Which calls a script strikes: a function of its rules and of the number of the call, of nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sut.llm.calls import Call
from sut.llm.script import Book, Rule, Script
from sut.llm.wire.base import REGISTRY

CHAT = Call("chat", model="gpt-4o")


def rule(fault: str = "error", **more: Any) -> dict[str, Any]:
    return {"fault": fault, **more}


def struck(calls: list[Call], *rules: dict[str, Any]) -> list[str | None]:
    """The faults that these calls meet."""

    async def go() -> list[str | None]:
        book = Book()
        book.put("one", Script.parse({"rules": list(rules), "expires_s": 60}))
        chosen = [book.choose(call) for call in calls]
        return [c.fault.name if c.token else None for c in chosen]

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("calls", "due"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"from": 2, "to": 4}, [2, 3, 4]),
        ({"from": 6}, [6, 7]),
        ({"to": 2}, [1, 2]),
        ({"from": 2, "every": 3}, [2, 5]),
        ({"from": 1, "to": 4, "every": 2}, [1, 3]),
    ],
)
def test_calls_are_counted_from_one(calls: dict[str, int], due: list[int]) -> None:
    parsed = Rule.parse(rule(calls=calls))
    assert [n for n in range(1, 8) if parsed.due(n)] == due


def test_a_probability_is_met_for_every_seed() -> None:
    """20 seeds of 2000 calls. For a fair hash a share more than 0.06 off has probability below 2 exp(-14.4) a
    seed, 1.2e-5 for any of the 20 (Hoeffding)."""
    for seed in range(20):
        for probability in (0.1, 0.5, 0.9):
            parsed = Rule.parse(rule(probability=probability, seed=seed))
            assert abs(sum(map(parsed.due, range(1, 2001))) / 2000 - probability) < 0.06


def test_the_draws_of_neighbours_are_independent() -> None:
    """Of 8000 pairs a quarter is struck both times; 0.04 off has probability below 2 exp(-25) (Hoeffding)."""
    parsed = Rule.parse(rule(probability=0.5, seed=5))
    both = sum(parsed.due(n) and parsed.due(n + 1) for n in range(1, 16_000, 2))
    assert abs(both / 8000 - 0.25) < 0.04


def test_another_seed_draws_other_calls() -> None:
    drawn = {tuple(map(Rule.parse(rule(probability=0.5, seed=s)).due, range(1, 65))) for s in range(10)}
    assert len(drawn) == 10


def test_probabilities_zero_and_one_are_exact() -> None:
    assert not any(map(Rule.parse(rule(probability=0)).due, range(1, 1000)))
    assert all(map(Rule.parse(rule(probability=1)).due, range(1, 1000)))


def test_the_first_rule_that_is_due_strikes_and_every_rule_that_matches_counts() -> None:
    rules = rule("quota", calls={"to": 2}), rule("error", calls={"from": 2, "to": 4}), rule("empty")
    assert struck([CHAT] * 6, *rules) == ["quota", "quota", "error", "error", "empty", "empty"]


def test_model_and_endpoint_select() -> None:
    other, embed, listing = Call("chat", model="o3"), Call("embeddings", model="gpt-4e"), Call("models")
    asked = [CHAT, other, embed, listing]
    assert struck(asked, rule()) == ["error"] * 4
    assert struck(asked, rule(model="gpt-4*")) == ["error", None, "error", None]
    assert struck(asked, rule(model="gpt-4*", endpoint="chat")) == ["error", None, None, None]
    assert struck(asked, rule(endpoint="models")) == [None, None, None, "error"]


def test_a_fault_meets_only_calls_that_it_can_strike_and_counts_no_others() -> None:
    stream = Call("chat", model="gpt-4o", streamed=True)
    second = {"from": 2, "to": 2}
    assert struck([CHAT, stream, CHAT, stream], rule("malformed_sse", calls=second)) == [
        None,
        None,
        None,
        "malformed_sse",
    ]
    assert struck([CHAT, Call("embeddings")], rule("embeddings_space")) == [None, "embeddings_space"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"fault": "gremlins"}, "unknown fault 'gremlins'; known: content_filter, context_length, cut"),
        (rule(params={"state": 1}), "has no parameter state; it has: status, delay_s"),
        (rule("quota", params={"x": 1}), "it has: none"),
        (rule(params={"status": 200}), "status must be a number from 400 to 599"),
        (rule(params={"status": True}), "status must be a number"),
        (rule(params=[]), None),
        (rule(params=[1]), "params must be an object"),
        (rule(modle="x"), "rule has no 'modle'; it has: fault, params, model"),
        (rule(model="gpt-[4]"), r"in which \* and \? match"),
        (rule("empty", endpoint="models"), "it strikes: chat"),
        (rule(calls={"till": 2}), "it has: from, to, every"),
        (rule(calls={"from": 0}), "calls.from must be"),
        (rule(calls={"from": 3, "to": 2}), "calls.to must be a number from 3"),
        (rule(calls={"every": 0}), "calls.every must be"),
        (rule(probability=1.1), "probability must be a number from 0 to 1"),
        (rule(seed="x"), "seed must be"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_what_can(wrong: dict[str, Any], named: str | None) -> None:
    if named is None:
        assert Rule.parse(wrong).params == {}
        return
    with pytest.raises(ValueError, match=named):
        Rule.parse(wrong)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_fault_works_with_its_defaults_and_strikes_something(name: str) -> None:
    parsed = Rule.parse(rule(name))
    asked = [Call(endpoint, streamed=s) for endpoint in parsed.fault.endpoints for s in parsed.fault.shapes]
    assert any(map(parsed.matches, asked))
    assert Rule.parse({k: v for k, v in parsed.to_dict().items() if k not in ("matched", "struck")}) == parsed


def test_the_documented_script_is_one_and_every_fault_is_documented_with_its_parameters() -> None:
    page = (Path(__file__).parents[2] / "docs" / "llm-faults.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert Script.parse(json.loads(example)).rules[0].probability == 0.3
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|$", page, re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", params)) for names, params in rows for name in names.split("`")}
    for name, cls in REGISTRY.items():
        assert told[name] == {f.name for f in fields(cls)}, name
