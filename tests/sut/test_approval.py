"""The approval graph with its saver in memory: a worker asks, another one concludes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.memory import InMemorySaver

from sut.app.service import approval
from sut.app.service.approval import ApprovalContext, Question, advance
from sut.app.service.errors import ModelsUnavailable
from sut.app.service.jobs import Decision
from sut.app.service.leases import Claim
from sut.app.service.state import Answer

from .fakes import FakeModel, models
from .queuefakes import claim


class Saver(InMemorySaver):
    """Keeps the special writes only, as TurnSaver does."""

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        special = [write for write in writes if write[0] in WRITES_IDX_MAP]
        if special:
            await super().aput_writes(config, special, task_id, task_path)


@dataclass
class Replicas:
    """What replicas share is the saver; graph and models are each one's own."""

    saver: InMemorySaver = field(default_factory=Saver)
    model: FakeModel = field(default_factory=FakeModel)
    fallback: FakeModel = field(default_factory=lambda: FakeModel("model-2"))

    def run(self, claim: Claim, crash: str = "") -> Answer | Question:
        """Run the job on a replica that has never seen it; it dies before the node `crash`."""
        graph = approval.build().copy(update={"checkpointer": self.saver})
        if crash:
            graph.interrupt_before_nodes = [crash]
        return asyncio.run(advance(graph, claim, ApprovalContext(models(self.model, self.fallback))))


def resumed(asked: Answer | Question, decision: Decision, epoch: int = 2) -> Claim:
    assert isinstance(asked, Question)
    return claim(kind="approval", epoch=epoch, thread=asked.thread, decision=decision.dump())


def test_a_graph_that_waits_is_resumed_on_another_replica() -> None:
    replicas = Replicas()
    asked = replicas.run(claim(kind="approval"))
    assert asked == Question("job:7:1", "hello there")
    assert replicas.run(resumed(asked, Decision(True))) == Answer("hello there", (), "model-1")
    assert replicas.model.calls == 1


def test_a_refused_draft_is_not_the_answer() -> None:
    replicas = Replicas()
    found = replicas.run(resumed(replicas.run(claim(kind="approval")), Decision(False, "too short")))
    assert found == Answer("not approved: too short", (), "model-1")


def test_a_resumption_that_is_done_twice_ends_the_same() -> None:
    replicas = Replicas()
    asked = replicas.run(claim(kind="approval"))
    first = replicas.run(resumed(asked, Decision(True)))
    assert replicas.run(resumed(asked, Decision(True), epoch=3)) == first
    assert replicas.model.calls == 1


def test_a_resumption_that_broke_off_is_gone_on_with() -> None:
    replicas = Replicas()
    asked = replicas.run(claim(kind="approval"))
    with pytest.raises(KeyError):
        replicas.run(resumed(asked, Decision(True)), crash="conclude")
    found = replicas.run(resumed(asked, Decision(True), epoch=3))
    assert found == Answer("hello there", (), "model-1")


def test_a_worker_that_lost_the_job_cannot_change_what_was_asked() -> None:
    replicas = Replicas()
    asked = replicas.run(claim(kind="approval", epoch=2))
    replicas.model.text = "something else"
    replicas.run(claim(kind="approval", epoch=1))
    found = replicas.run(resumed(asked, Decision(True), epoch=3))
    assert isinstance(found, Answer)
    assert found.text == "hello there"


def test_a_draft_of_the_fallback_says_so_and_without_models_there_is_none() -> None:
    replicas = Replicas(model=FakeModel(fail_after=0))
    found = replicas.run(resumed(replicas.run(claim(kind="approval")), Decision(True)))
    assert found == Answer("hello there", ("fallback-model",), "model-2")
    replicas.fallback.fail_after = 0
    with pytest.raises(ModelsUnavailable):
        replicas.run(replace(claim(8, kind="approval")))
