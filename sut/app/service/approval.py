"""draft -> approve (waits for a person at `interrupt()`) -> conclude.

The graph's state waits in Postgres, so whichever worker takes the job up again resumes it. A thread belongs
to one epoch of the job's lease until its question is recorded: a worker that lost the lease goes on in a
thread that nobody will read, and cannot change a draft that a person has before their eyes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypedDict

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from .content import PLAIN, Box
from .database import Pool, checkout
from .graph import TurnSaver
from .leases import Claim
from .llm import Models
from .nodes import SYSTEM
from .state import Answer
from .usage import NOTHING, Usage

PATIENCE = 2.0  # seconds, for a connection


class ApprovalState(TypedDict, total=False):
    """Strings only, as in ChatState; `decision` is what a person said, in JSON."""

    input: str
    draft: str
    model: str
    degraded: str
    usage: str
    decision: str
    answer: str


@dataclass(frozen=True)
class Question:
    """What a person is asked, the thread that waits for it, and what the draft cost."""

    thread: str
    text: str
    usage: Usage = field(default=NOTHING, compare=False)


@dataclass(frozen=True)
class ApprovalContext:
    """What the nodes work with."""

    models: Models


ApprovalGraph: TypeAlias = CompiledStateGraph[ApprovalState, ApprovalContext, ApprovalState, ApprovalState]


async def draft(state: ApprovalState, runtime: Runtime[ApprovalContext]) -> ApprovalState:
    """Ask the models; raises ModelsUnavailable."""
    messages = [SystemMessage(SYSTEM), HumanMessage(state["input"])]
    generated = await runtime.context.models.answer(list(messages))
    degraded = "fallback-model" if generated.fallback else ""
    return {
        "draft": generated.text,
        "model": generated.model,
        "degraded": degraded,
        "usage": str(generated.usage),
    }


async def approve(state: ApprovalState) -> ApprovalState:
    """Wait for a person. Nothing comes before the interrupt: a resumed node begins anew."""
    return {"decision": str(interrupt(state["draft"]))}


async def conclude(state: ApprovalState) -> ApprovalState:
    """The draft if it was approved, else what was said instead."""
    decision = json.loads(state["decision"])
    refused = f"not approved: {decision['note']}".rstrip(": ")
    return {"answer": state["draft"] if decision["approved"] else refused}


def build() -> ApprovalGraph:
    """The graph without a checkpointer."""
    graph = StateGraph(ApprovalState, context_schema=ApprovalContext)
    graph.add_node("draft", draft)
    graph.add_node("approve", approve)
    graph.add_node("conclude", conclude)
    graph.add_edge(START, "draft")
    graph.add_edge("draft", "approve")
    graph.add_edge("approve", "conclude")
    graph.add_edge("conclude", END)
    return graph.compile()


@dataclass(frozen=True)
class Approvals:
    """Runs the graph for a job, up to its question or from there to its end."""

    pool: Pool
    models: Models
    graph: ApprovalGraph
    box: Box = PLAIN

    async def run(self, claim: Claim) -> Answer | Question:
        """Raises ModelsUnavailable or database trouble."""
        async with checkout(self.pool, PATIENCE) as conn:
            graph = self.graph.copy(update={"checkpointer": TurnSaver(conn, self.box)})
            return await advance(graph, claim, ApprovalContext(self.models))


async def advance(graph: ApprovalGraph, claim: Claim, context: ApprovalContext) -> Answer | Question:
    """Go on from the last checkpoint of the job's thread; a run that broke off anywhere is gone on with."""
    thread = claim.thread or f"job:{claim.seq}:{claim.epoch}"
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    snapshot = await graph.aget_state(config)
    state: Any = snapshot.values
    if not state or snapshot.next:
        entry: Any = None
        if not state:
            entry = {"input": claim.input}
        elif snapshot.interrupts:
            entry = Command(resume=claim.decision)
        state = await graph.ainvoke(entry, config, context=context, durability="sync")
    if asked := state.get("__interrupt__"):
        return Question(thread, str(asked[0].value), Usage.parse(state.get("usage", "")))
    # Without its usage: the draft was billed when it was asked about.
    return Answer(state["answer"], tuple(state["degraded"].split()), state["model"])
