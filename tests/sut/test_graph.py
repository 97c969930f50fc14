"""The graph with its saver in memory: order, degradations, history, and resuming."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from sut.app.service.errors import ModelsUnavailable, Refusal
from sut.app.service.graph import build
from sut.app.service.state import Answer, ChatState, Exchange, Turn, TurnContext, fresh

from .fakes import FakeCache, FakeModel, FakeRetriever, FakeTool, models, turn

THREAD: RunnableConfig = {"configurable": {"thread_id": "s1"}}


@dataclass
class Bench:
    """One session of the graph with everything replaceable."""

    cache: FakeCache = field(default_factory=FakeCache)
    retriever: FakeRetriever = field(default_factory=FakeRetriever)
    tool: FakeTool = field(default_factory=FakeTool)
    primary: FakeModel = field(default_factory=FakeModel)
    fallback: FakeModel = field(default_factory=lambda: FakeModel("model-2"))
    saver: InMemorySaver = field(default_factory=InMemorySaver)
    stored: list[Answer] = field(default_factory=list)
    fail_store: bool = False
    serve_stale: bool = True

    async def store(self, turn: Turn, answer: Answer) -> Answer:
        if self.fail_store:
            raise ConnectionError
        self.stored.append(answer)
        return answer

    def run(self, asked: Turn, *, resume: bool = False, history: tuple[Exchange, ...] = ()) -> ChatState:
        graph = build().copy(update={"checkpointer": self.saver})
        asking = models(self.primary, self.fallback)
        context = TurnContext(
            asked,
            self.cache,
            self.retriever,
            self.tool,
            asking,
            self.store,
            history,
            None,
            self.serve_stale,
        )

        async def go() -> ChatState:
            entry = None if resume else fresh(asked)
            return await graph.ainvoke(entry, THREAD, context=context, durability="sync")  # type: ignore[return-value]

        return asyncio.run(go())


def test_a_healthy_turn_is_stored_without_degradations() -> None:
    bench = Bench()
    bench.run(turn())
    assert bench.stored == [Answer("hello there", (), "model-1")]


def test_degradations_form_a_set_and_do_not_stick_to_the_next_turn() -> None:
    bench = Bench(
        cache=FakeCache(down=True), retriever=FakeRetriever(down=True), primary=FakeModel(fail_after=0)
    )
    bench.run(turn("k1"))
    assert bench.stored[0] == Answer("hello there", ("fallback-model", "no-cache", "no-retrieval"), "model-2")
    bench.cache.down = bench.retriever.down = False
    bench.primary.fail_after = None
    bench.run(turn("k2"))
    assert bench.stored[1] == Answer("hello there", (), "model-1")


def test_a_cached_answer_spares_retrieval_and_model_but_not_another_user() -> None:
    bench = Bench()
    bench.run(turn("k1", message="How?"))
    bench.run(turn("k2", message="  how? "))
    assert bench.stored[1].model == "cache"
    assert bench.primary.calls == 1
    bench.run(turn("k3", message="How?", subject="bob"))
    assert bench.primary.calls == 2


def test_an_answer_is_cached_for_the_conversation_that_it_was_given_in() -> None:
    bench = Bench()
    bench.run(turn("k1", message="And then?"), history=(("Where is my parcel?", "On its way."),))
    bench.run(turn("k2", message="And then?"), history=(("Can I get a refund?", "Yes."),))
    bench.run(turn("k3", message="And then?"))
    assert [answer.model for answer in bench.stored] == ["model-1"] * 3
    bench.run(turn("k4", message="and THEN?"), history=(("Where is my parcel?", "On its way."),))
    assert bench.stored[3].model == "cache"


def test_a_degraded_answer_is_not_cached() -> None:
    bench = Bench(retriever=FakeRetriever(down=True))
    bench.run(turn())
    assert bench.cache.kept == {}


def test_a_tool_that_fails_costs_its_result_only() -> None:
    bench = Bench(tool=FakeTool(down=True))
    bench.run(turn())
    assert bench.stored == [Answer("hello there", ("no-tool",), "model-1")]
    assert "one\ntwo" in str(bench.primary.seen[0][0].content)
    assert bench.cache.kept == {}


def test_documents_of_a_late_standby_are_used_and_declared() -> None:
    bench = Bench(retriever=FakeRetriever(stale=True))
    bench.run(turn())
    assert bench.stored == [Answer("hello there", ("stale",), "model-1")]
    assert "one\ntwo" in str(bench.primary.seen[0][0].content)


def no_model() -> Bench:
    """A bench whose cache holds an old answer to the turn's question, and whose models have failed since."""
    bench = Bench()
    bench.run(turn("k1"))
    bench.cache.old = True
    bench.primary.fail_after = bench.fallback.fail_after = 0
    return bench


def test_without_a_model_an_earlier_answer_is_given_and_declared() -> None:
    bench = no_model()
    bench.run(turn("k2"))
    assert bench.stored[1] == Answer("hello there", ("cached",), "cache")


def test_an_earlier_answer_is_billed_what_was_asked_for_another_one_in_vain() -> None:
    bench = no_model()
    bench.primary.fail_after, bench.primary.finish = None, None
    bench.run(turn("k2"))
    [_, answer] = bench.stored
    assert (answer.degraded, answer.usage.completion) == (("cached",), 3)


@pytest.mark.parametrize("why", ["another question", "another user", "no cache", "switched off"])
def test_without_a_model_and_an_earlier_answer_the_turn_is_not_answered(why: str) -> None:
    bench = no_model()
    bench.cache.down = why == "no cache"
    bench.serve_stale = why != "switched off"
    message = "What else?" if why == "another question" else "How?"
    with pytest.raises(ModelsUnavailable):
        bench.run(turn("k2", message=message, subject="bob" if why == "another user" else "ann"))
    assert len(bench.stored) == 1


def test_an_old_answer_is_not_given_while_a_model_answers() -> None:
    bench = Bench()
    bench.run(turn("k1"))
    bench.cache.old = True
    bench.run(turn("k2"))
    assert bench.stored[1] == Answer("hello there", (), "model-1")
    assert bench.primary.calls == 2


def test_the_model_sees_documents_and_the_exchanges_in_their_order() -> None:
    bench = Bench()
    bench.run(turn(message="three"), history=(("one\x07", "first"), ("two", "second")))
    [seen] = bench.primary.seen
    assert "one\ntwo" in str(seen[0].content)
    assert "News: three" in str(seen[0].content)
    assert [message.content for message in seen[1:]] == ["one", "first", "two", "second", "three"]


def test_an_exchange_is_not_carried_from_turn_to_turn_by_the_checkpoints() -> None:
    bench = Bench()
    bench.run(turn("k1", message="one"))
    bench.run(turn("k2", message="two"))
    assert [message.content for message in bench.primary.seen[1][1:]] == ["two"]


def test_a_message_of_nothing_but_control_characters_is_refused() -> None:
    bench = Bench()
    with pytest.raises(Refusal) as caught:
        bench.run(turn(message="\x00\x07 "))
    assert caught.value.status == 422
    assert bench.stored == []


def test_a_run_broken_off_while_storing_goes_on_without_asking_the_model_again() -> None:
    bench = Bench(fail_store=True)
    with pytest.raises(ConnectionError):
        bench.run(turn())
    bench.fail_store = False
    bench.run(turn(), resume=True)
    assert bench.stored == [Answer("hello there", (), "model-1")]
    assert bench.primary.calls == 1
