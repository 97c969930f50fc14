"""Fallback: when it is used, how often providers are asked, and what a streaming client sees."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.messages import HumanMessage

from sut.app.service.breaker import Breaker, State
from sut.app.service.embedding import embeddings
from sut.app.service.errors import ModelsUnavailable
from sut.app.service.llm import Generated, Models, chat_model

from .fakes import FakeModel

ASKED = [HumanMessage("hi")]


def models(primary: FakeModel, fallback: FakeModel) -> Models:
    return Models(primary, fallback, Breaker("llm-primary", failures=2, open_s=60), timeout=1.0)


def ask(asked: Models) -> Generated:
    return asyncio.run(asked.answer([*ASKED]))


def test_the_primary_answers_alone() -> None:
    primary, fallback = FakeModel(), FakeModel("model-2")
    assert ask(models(primary, fallback)) == Generated("hello there", "model-1", fallback=False)
    assert (primary.calls, fallback.calls) == (1, 0)


@pytest.mark.parametrize(
    "broken",
    [FakeModel(fail_after=0), FakeModel(text=" "), FakeModel(finish=None)],
    ids=["down", "empty", "cut"],
)
def test_a_failed_empty_or_unfinished_answer_goes_to_the_fallback_once(broken: FakeModel) -> None:
    fallback = FakeModel("model-2")
    assert ask(models(broken, fallback)) == Generated("hello there", "model-2", fallback=True)
    assert (broken.calls, fallback.calls) == (1, 1)


def test_an_open_breaker_spares_the_primary() -> None:
    primary, fallback = FakeModel(fail_after=0), FakeModel("model-2")
    asked = models(primary, fallback)
    for _ in range(5):
        assert ask(asked).fallback
    assert (primary.calls, fallback.calls) == (2, 5)


def test_a_slow_primary_is_given_up() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    asked = Models(
        FakeModel(before=slow), FakeModel("model-2"), Breaker("llm-primary", failures=1), timeout=0.05
    )
    assert ask(asked).model == "model-2"
    assert asked._breaker.state is State.OPEN


def test_both_down_is_an_honest_error_after_one_attempt_each() -> None:
    primary, fallback = FakeModel(fail_after=0), FakeModel(fail_after=0)
    with pytest.raises(ModelsUnavailable):
        ask(models(primary, fallback))
    assert (primary.calls, fallback.calls) == (1, 1)


def test_a_stream_cut_after_its_first_token_starts_anew_on_the_fallback() -> None:
    events: list[tuple[str, str]] = []
    asked = models(FakeModel(text="a b c", fail_after=1), FakeModel("model-2", text="x y"))
    generated = asyncio.run(asked.answer([*ASKED], lambda event, text: events.append((event, text))))
    assert events == [("token", "a"), ("reset", ""), ("token", "x"), ("token", "y")]
    assert generated == Generated("xy", "model-2", fallback=True)


def test_the_clients_never_retry_by_themselves() -> None:
    assert chat_model("http://localhost/v1", "m", 1.0).max_retries == 0
    assert embeddings("http://localhost/v1").max_retries == 0
