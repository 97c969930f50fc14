"""What a job is made of, by kind."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from sut.app.service.approval import Approvals
from sut.app.service.errors import ModelsUnavailable
from sut.app.service.jobs import KINDS
from sut.app.service.state import Answer, Turn
from sut.app.service.work import Jobwork

from .fakes import FakeModel, FakeRunner, models
from .queuefakes import claim


class NoApprovals:
    """Never run here."""

    async def run(self, claim: object) -> Answer:
        raise AssertionError


def make(model: FakeModel, fallback: FakeModel, runner: FakeRunner | None = None) -> Jobwork:
    return Jobwork(runner or FakeRunner(), models(model, fallback), cast(Approvals, NoApprovals()))


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


def test_a_chat_is_the_turn_of_its_session_under_the_jobs_key() -> None:
    runner = FakeRunner()
    asyncio.run(make(FakeModel(), FakeModel(), runner)(claim(kind="chat", session="s9")))
    assert runner.turns == [Turn("s9", "k7", "ann", "How?", "0" * 32)]
