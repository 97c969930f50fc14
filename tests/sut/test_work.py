"""What a job is made of, by kind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from sut.app.service.approval import Approvals
from sut.app.service.errors import ModelsUnavailable, Refusal
from sut.app.service.jobs import KINDS
from sut.app.service.leases import Claim
from sut.app.service.llm import Models
from sut.app.service.state import Answer, Turn
from sut.app.service.usage import Price
from sut.app.service.work import Jobwork

from .fakes import FakeModel, FakeRunner, models, target
from .queuefakes import claim


class NoApprovals:
    """Never run here."""

    async def run(self, claim: object) -> Answer:
        raise AssertionError


def make(model: FakeModel, fallback: FakeModel, runner: FakeRunner | None = None) -> Jobwork:
    return Jobwork(runner or FakeRunner(), models(model, fallback), cast(Approvals, NoApprovals()))


def refused(model: FakeModel, job: Claim) -> int:
    """The status that a job meets whose session may cost 100."""
    work = replace(make(model, FakeModel("model-2")), budget_micros=100)
    with pytest.raises(Refusal) as caught:
        asyncio.run(work(job))
    return caught.value.status


def test_every_kind_that_is_accepted_can_be_done() -> None:
    assert set(make(FakeModel(), FakeModel()).kinds) == set(KINDS)


def test_a_summary_comes_from_the_primary_model_or_else_from_the_fallback() -> None:
    model, fallback = FakeModel(), FakeModel("model-2")
    work = make(model, fallback)
    assert asyncio.run(work(claim())) == Answer("hello there", (), "model-1")
    assert str(model.seen[0][1].content) == "How?"
    model.fail_after = 0
    assert asyncio.run(work(claim())) == Answer("hello there", ("fallback-model",), "model-2")
    fallback.fail_after = 0
    with pytest.raises(ModelsUnavailable):
        asyncio.run(work(claim()))


def test_a_summary_says_what_it_cost() -> None:
    priced = replace(target(FakeModel()), price=Price(1.0, 1.0))
    work = replace(make(FakeModel(), FakeModel()), models=Models([priced], timeout=1.0))
    answer = asyncio.run(work(claim()))
    assert isinstance(answer, Answer)
    assert answer.usage.micros == answer.usage.prompt + answer.usage.completion > 0


@pytest.mark.parametrize("kind", ["summary", "approval"])
def test_a_session_that_has_used_up_its_budget_or_is_anothers_pays_for_no_job(kind: str) -> None:
    model = FakeModel()
    assert refused(model, claim(kind=kind, owner="ann", spent=100)) == 402
    assert refused(model, claim(kind=kind, owner="bob")) == 403
    assert model.calls == 0


def test_what_a_person_was_asked_is_finished_whatever_the_session_has_cost() -> None:
    concluding = cast(Approvals, FakeRunner(Answer("as drafted", (), "model-1")))
    work = replace(make(FakeModel(), FakeModel()), approvals=concluding, budget_micros=100)
    found = asyncio.run(work(claim(kind="approval", thread="job:7:1", owner="ann", spent=100)))
    assert found == Answer("as drafted", (), "model-1")


def test_a_chat_is_the_turn_of_its_session_under_the_jobs_key() -> None:
    runner = FakeRunner()
    asyncio.run(make(FakeModel(), FakeModel(), runner)(claim(kind="chat", session="s9")))
    assert runner.turns == [Turn("s9", "k7", "ann", "How?", "0" * 32)]
