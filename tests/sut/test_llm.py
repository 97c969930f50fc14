"""Fallback: when it is used, how often providers are asked, and what a streaming client sees."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import httpx2
import openai
import pytest
from langchain_core.messages import HumanMessage

from sut.app.service.answers import LONGEST, blamed
from sut.app.service.breaker import Breaker, State
from sut.app.service.deadline import HEADER, narrowed
from sut.app.service.embedding import embeddings
from sut.app.service.errors import ModelsUnavailable, Refusal
from sut.app.service.llm import MOST_TOKENS, Called, Generated, Models, chat_model
from sut.app.service.retries import RetryBudget
from sut.app.service.usage import LETTERS_A_TOKEN, Price, Usage

from .fakes import FakeModel, models, nothing, target
from .test_breaker import Clock

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


def test_a_caller_who_cannot_wait_opens_no_breaker_and_keeps_no_probe() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    async def hasty() -> None:
        with narrowed(0.3), pytest.raises(ModelsUnavailable):
            await asked.answer([*ASKED])

    clock, called = Clock(), list[Called]()
    breaker = Breaker("llm-primary", failures=1, blame=blamed, clock=clock)
    primary = FakeModel(before=slow)
    asked = Models([target(primary, breaker=breaker)], timeout=1.0, on_call=called.append)
    asyncio.run(hasty())
    assert ([each.outcome for each in called], breaker.state) == (["CutShort"], State.CLOSED)
    breaker.hold(2)
    clock.now = 2
    asyncio.run(hasty())
    assert (primary.calls, breaker.state) == (2, State.HALF_OPEN)
    primary.before = nothing
    assert ask(asked).model == "model-1"
    assert breaker.state.name == "CLOSED"


def test_of_two_that_share_a_turns_time_the_second_is_blamed_too() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    breakers = [Breaker(name, failures=1, blame=blamed) for name in ("primary", "fallback")]
    asked = Models(
        [target(FakeModel(before=slow), each.name, breaker=each) for each in breakers], timeout=0.6
    )
    with pytest.raises(ModelsUnavailable):
        ask(asked)
    assert [each.state for each in breakers] == [State.OPEN, State.OPEN]


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
    assert embeddings("http://localhost/v1").max_retries == 0


def limited(headers: dict[str, str], status: int = 429) -> openai.APIStatusError:
    """What a provider answers that asks for time: of one model by 429, of all its models else."""
    request = httpx2.Request("POST", "http://llm/v1")
    response = httpx2.Response(status, headers=headers, request=request)
    kind = openai.RateLimitError if status == 429 else openai.InternalServerError
    return kind("slow down", response=response, body=None)


@dataclass
class Four:
    """Two providers with two models each."""

    failing: tuple[str, ...] = ()
    ratio: float | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.called: list[Called] = []
        self.clients, targets = {}, []
        budgets = {name: RetryBudget(self.ratio, reserve=0) for name in ("primary", "fallback")}
        for tier in ("strong", "cheap"):
            for provider in ("primary", "fallback"):
                name = f"{provider}-{tier}"
                client = FakeModel(name, fail_after=0 if name in self.failing else None)
                client.error = self.error or client.error
                self.clients[name] = client
                breaker = Breaker(name, failures=100)
                made = target(client, provider, tier, breaker, budgets[provider])
                targets.append(replace(made, price=Price(1.0, 2.0)))
        # The targets of one provider share it.
        self.targets = [
            replace(each, provider=next(t.provider for t in targets if t.provider.name == each.provider.name))
            for each in targets
        ]
        self.models = Models(self.targets, timeout=1.0, on_call=self.called.append)

    @property
    def calls(self) -> list[int]:
        return [client.calls for client in self.clients.values()]


def test_strong_models_come_before_cheap_ones_and_each_is_asked_once() -> None:
    four = Four(failing=("primary-strong", "fallback-strong", "primary-cheap"))
    assert ask(four.models) == Generated("hello there", "fallback-cheap", fallback=True)
    assert four.calls == [1, 1, 1, 1]
    assert [called.outcome for called in four.called] == ["ConnectionResetError"] * 3 + ["ok"]


def test_a_provider_is_asked_again_only_within_its_retry_budget() -> None:
    four = Four(failing=("primary-strong", "fallback-strong", "primary-cheap", "fallback-cheap"), ratio=0.2)
    for _ in range(50):
        with pytest.raises(ModelsUnavailable):
            ask(four.models)
    assert four.calls == [50, 50, 10, 10]


def test_a_first_call_of_a_provider_is_no_retry() -> None:
    four = Four(ratio=0.1)
    for each in four.targets[:2]:
        each.breaker.hold(60)
    for _ in range(20):
        assert ask(four.models).model == "primary-cheap"
    assert four.calls == [0, 0, 20, 0]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "20"},
        {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2015 07:28:20 GMT"},
    ],
    ids=["seconds", "date"],
)
def test_a_provider_that_names_a_time_is_not_asked_before(headers: dict[str, str]) -> None:
    four = Four(failing=("primary-strong",), error=limited(headers, status=503))
    for _ in range(5):
        assert ask(four.models).model == "fallback-strong"
    assert four.calls == [1, 5, 0, 0]
    assert 19 < four.targets[2].breaker.wait_s <= 20, "nor is its cheap model"


def test_a_model_over_its_limit_is_not_asked_while_its_providers_cheap_one_answers() -> None:
    four = Four(failing=("primary-strong", "fallback-strong"), error=limited({"Retry-After": "20"}))
    for _ in range(5):
        assert ask(four.models).model == "primary-cheap"
    assert four.calls == [1, 1, 5, 0]


@pytest.mark.parametrize(("status", "calls"), [(429, [1, 1, 1, 1]), (503, [1, 1, 0, 0])])
def test_when_all_ask_for_time_the_client_is_told_the_shortest(status: int, calls: list[int]) -> None:
    four = Four(failing=tuple(Four().clients), error=limited({"Retry-After": "20"}, status))
    for _ in range(2):
        with pytest.raises(ModelsUnavailable) as caught:
            ask(four.models)
        assert caught.value.retry_after == 20
    assert four.calls == calls


def test_what_the_content_filter_withheld_is_asked_of_nobody_else() -> None:
    four = Four()
    four.clients["primary-strong"].finish = "content_filter"
    events: list[str] = []
    with pytest.raises(Refusal) as caught:
        asyncio.run(four.models.answer([*ASKED], lambda event, _: events.append(event)))
    assert caught.value.status == 422
    assert four.calls == [1, 0, 0, 0]
    assert events == ["token", "token"]
    assert four.called[0].outcome == "422"


def test_another_model_than_asked_for_is_named_so() -> None:
    four = Four()
    targets = [
        replace(each, name=name)
        for each, name in zip(four.targets, ("big", "big", "big-mini", "big-mini"), strict=True)
    ]
    asked = Models(targets, timeout=1.0)
    for echo, other in (("big-2026-01-01", False), ("big", False), ("big-mini-1", True), ("huge", True)):
        four.clients["primary-strong"].name = echo
        assert ask(asked) == Generated("hello there", echo, fallback=other)


def test_a_provider_is_told_how_long_it_has_and_no_longer_than_the_turn() -> None:
    four = Four(failing=("primary-strong",))

    async def go() -> None:
        with narrowed(0.7):
            await four.models.answer([*ASKED])

    asyncio.run(go())
    [options] = four.clients["fallback-strong"].options
    assert 0.3 < options["timeout"].read <= 0.5
    assert int(options["extra_headers"][HEADER]) == pytest.approx(options["timeout"].read * 1000, abs=1)


def test_with_no_time_left_nobody_is_asked() -> None:
    four = Four()

    async def go() -> None:
        with narrowed(0.2):
            await four.models.answer([*ASKED])

    with pytest.raises(ModelsUnavailable):
        asyncio.run(go())
    assert four.calls == [0, 0, 0, 0]


def test_usage_is_that_of_all_attempts_estimated_where_nobody_tells() -> None:
    four = Four()
    four.clients["primary-strong"].finish = None
    generated = ask(four.models)
    one = Usage(1, 3, 7)
    assert [called.usage for called in four.called] == [one, one]
    assert generated.usage == one + one
    assert Usage.parse(str(generated.usage)) == generated.usage
    assert Usage.parse("") == Usage()
    assert Price(0.15, 0.6).of(1, 1).micros == 1, "rounded up"


def test_what_was_asked_in_vain_is_told_with_the_refusal_and_when_no_model_answers() -> None:
    one = Usage(1, 3, 7)
    four = Four()
    four.clients["primary-strong"].finish = None
    four.clients["fallback-strong"].finish = "content_filter"
    with pytest.raises(Refusal) as refused:
        ask(four.models)
    assert refused.value.usage == one + one

    four = Four(failing=("fallback-strong", "primary-cheap", "fallback-cheap"))
    four.clients["primary-strong"].finish = None
    with pytest.raises(ModelsUnavailable) as unavailable:
        ask(four.models)
    assert unavailable.value.usage == one


def test_an_answer_longer_than_it_may_be_is_given_up_and_asked_for_elsewhere() -> None:
    endless = FakeModel(text="word " * (LONGEST // 4 + 2))
    assert ask(two(endless, FakeModel("model-2"))).model == "model-2"
    events: list[str] = []
    streamed = two(endless, FakeModel("model-2", text="x")).answer(
        [*ASKED], lambda event, _: events.append(event)
    )
    assert asyncio.run(streamed).text == "x"
    assert events[-2:] == ["reset", "token"]


def test_a_call_says_how_long_its_answer_may_be() -> None:
    payload = chat_model("http://localhost/v1", "m", 1.0)._get_request_payload(ASKED)
    assert payload["max_completion_tokens"] == MOST_TOKENS
    assert MOST_TOKENS * LETTERS_A_TOKEN < LONGEST, "an answer as long as was asked for is taken"


def test_what_a_negative_control_takes_away_is_missed() -> None:
    def without(protection: str, four: Four) -> Models:
        return Models(four.targets, timeout=1.0, without=[protection])

    four = Four(failing=("primary-strong", "primary-cheap"))
    with pytest.raises(ModelsUnavailable):
        ask(without("model-fallback", four))
    assert four.calls == [1, 0, 1, 0]

    four = Four()
    four.clients["primary-strong"].text = ""
    assert ask(without("answer-check", four)) == Generated("", "primary-strong", fallback=False)

    four = Four()
    four.clients["primary-strong"].finish = "content_filter"
    assert ask(without("final-refusals", four)).model == "fallback-strong"

    four = Four()
    four.targets[0] = replace(four.targets[0], name="big")
    assert not ask(without("model-echo", four)).fallback


@pytest.mark.parametrize(
    ("protection", "calls", "events"),
    [
        ("", [1, 1, 0, 0], ["token", "reset", "token", "token"]),
        ("stream-reset", [1, 1, 0, 0], ["token", "token", "token"]),
        ("stream-fallback", [1, 0, 0, 0], ["token"]),
    ],
)
def test_a_stream_that_breaks_begins_anew_unless_that_is_taken_away(
    protection: str, calls: list[int], events: list[str]
) -> None:
    four = Four()
    four.clients["primary-strong"].fail_after = 1
    seen: list[str] = []
    models = Models(four.targets, timeout=1.0, without=[protection])
    asked = models.answer([*ASKED], lambda event, _: seen.append(event))
    if protection == "stream-fallback":
        with pytest.raises(ModelsUnavailable):
            asyncio.run(asked)
    else:
        asyncio.run(asked)
    assert (four.calls, seen) == (calls, events)
