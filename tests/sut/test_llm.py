"""Fallback: when it is used, how often providers are asked, and what a streaming client sees."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.messages import HumanMessage

from sut.app.service.breaker import Breaker, State
from sut.app.service.errors import ModelsUnavailable
from sut.app.service.llm import Generated, Models, chat_model, embeddings

from .fakes import FakeModel, models

ASKED = [HumanMessage("hi")]


def two(primary: FakeModel, fallback: FakeModel) -> Models:
    return models(primary, fallback, Breaker("llm-primary", failures=2, open_s=60))


def ask(asked: Models) -> Generated:
    return asyncio.run(asked.answer([*ASKED]))


def test_the_primary_answers_alone() -> None:
    primary, fallback = FakeModel(), FakeModel("model-2")
    assert ask(two(primary, fallback)) == Generated("hello there", "model-1", fallback=False)
    assert (primary.calls, fallback.calls) == (1, 0)


@pytest.mark.parametrize(
    "broken",
    [FakeModel(fail_after=0), FakeModel(text=" "), FakeModel(finish=None)],
    ids=["down", "empty", "cut"],
)
def test_a_failed_empty_or_unfinished_answer_goes_to_the_fallback_once(broken: FakeModel) -> None:
    fallback = FakeModel("model-2")
    assert ask(two(broken, fallback)) == Generated("hello there", "model-2", fallback=True)
    assert (broken.calls, fallback.calls) == (1, 1)


def test_an_open_breaker_spares_the_primary() -> None:
    primary, fallback = FakeModel(fail_after=0), FakeModel("model-2")
    asked = two(primary, fallback)
    for _ in range(5):
        assert ask(asked).fallback
    assert (primary.calls, fallback.calls) == (2, 5)


def test_a_slow_primary_is_given_up() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    breaker = Breaker("llm-primary", failures=1)
    assert ask(models(FakeModel(before=slow), FakeModel("model-2"), breaker, 0.06)).model == "model-2"
    assert breaker.state is State.OPEN


def test_both_down_is_an_honest_error_after_one_attempt_each() -> None:
    primary, fallback = FakeModel(fail_after=0), FakeModel(fail_after=0)
    with pytest.raises(ModelsUnavailable):
        ask(two(primary, fallback))
    assert (primary.calls, fallback.calls) == (1, 1)


def test_a_stream_cut_after_its_first_token_starts_anew_on_the_fallback() -> None:
    events: list[tuple[str, str]] = []
    asked = two(FakeModel(text="a b c", fail_after=1), FakeModel("model-2", text="x y"))
    generated = asyncio.run(asked.answer([*ASKED], lambda event, text: events.append((event, text))))
    assert events == [("token", "a"), ("reset", ""), ("token", "x"), ("token", "y")]
    assert generated == Generated("xy", "model-2", fallback=True)


def test_the_clients_never_retry_by_themselves() -> None:
    assert chat_model("http://localhost/v1", "m", 1.0).max_retries == 0
    assert embeddings("http://localhost/v1", "m", 1.0).max_retries == 0
