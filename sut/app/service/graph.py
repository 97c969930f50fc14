"""validate -> cache -> (retrieve -> tool -> generate ->) persist, with a checkpointer for one turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from . import nodes
from .content import Box, ContentSerializer, SealedSaver
from .database import Connection
from .state import ChatState, TurnContext
from .tracing import traced

Graph: TypeAlias = CompiledStateGraph[ChatState, TurnContext, ChatState, ChatState]


class TurnSaver(SealedSaver, AsyncPostgresSaver):
    """Writes checkpoints, sealed, but not the pending writes of ordinary nodes.

    Pending writes spare a step's finished nodes a second run when another node of the same step failed.
    Here every step is one node, and the checkpoint that follows holds its result: they would only double
    the number of commits. Interrupts and resumptions are still written.
    """

    def __init__(self, conn: Connection, box: Box) -> None:
        super().__init__(conn, serde=ContentSerializer(box))
        self.box = box

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store the special writes only; raises psycopg.Error."""
        special = [write for write in writes if write[0] in WRITES_IDX_MAP]
        if special:
            await super().aput_writes(config, special, task_id, task_path)


class ChatSaver(TurnSaver):
    """Writes the checkpoints of a chat from its call of the models on; each before the next step begins.

    Until then an accepted turn is in the table of admissions alone, and a run that broke off looks everything
    up anew: a commit with the standby's word for each of those steps cost more than the steps. The one just
    before the call shows that what is bought can be kept.
    """

    def __init__(self, conn: Connection, box: Box) -> None:
        super().__init__(conn, box)
        self._changed: ChannelVersions = {}
        self._parent: RunnableConfig | None = None

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store it if the models are called next, or an answer is in it; raises psycopg.Error."""
        changed, parent = {**self._changed, **new_versions}, self._parent or config
        values = checkpoint["channel_values"]
        # The input's own checkpoint still holds the answer of the turn before.
        dear = "branch:to:generate" in values or values.get("answer")
        if metadata.get("source") == "input" or not dear:
            self._changed, self._parent = changed, parent
            return config
        self._changed, self._parent = {}, None
        return await super().aput(parent, checkpoint, metadata, changed)


def build() -> Graph:
    """The graph without a checkpointer; `with_saver` lends it one."""
    graph = StateGraph(ChatState, context_schema=TurnContext)
    graph.add_node("validate", traced("node validate")(nodes.validate))
    graph.add_node("cache", traced("node cache")(nodes.cache))
    graph.add_node("retrieve", traced("node retrieve")(nodes.retrieve))
    graph.add_node("tool", traced("node tool")(nodes.tool))
    graph.add_node("generate", traced("node generate")(nodes.generate))
    graph.add_node("persist", traced("node persist")(nodes.persist))
    graph.add_edge(START, "validate")
    graph.add_edge("validate", "cache")
    graph.add_conditional_edges("cache", _after_cache, ["retrieve", "persist"])
    graph.add_edge("retrieve", "tool")
    graph.add_edge("tool", "generate")
    graph.add_edge("generate", "persist")
    graph.add_edge("persist", END)
    return graph.compile()


def with_saver(graph: Graph, saver: AsyncPostgresSaver) -> Graph:
    """The same graph checkpointing through `saver`, for one turn on one connection."""
    return graph.copy(update={"checkpointer": saver})


async def _after_cache(state: ChatState) -> str:
    return "persist" if state.get("answer") else "retrieve"
