"""What flows through the graph, and what its nodes are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypedDict

from .cache import Cache
from .flights import Flights
from .llm import Models
from .retrieval import Retriever
from .tool import Tool
from .usage import Usage

HISTORY = 6  # exchanges that a model is shown
LISTED = 1000  # turns or jobs of a session that are shown at once
Exchange: TypeAlias = tuple[str, str]  # what was asked, what was answered


@dataclass(frozen=True)
class Turn:
    """One message of one user in one session; `id` is the idempotency key."""

    session: str
    id: str
    subject: str
    message: str
    trace_id: str


@dataclass(frozen=True)
class Answer:
    """The answer to a turn, as stored."""

    text: str
    degraded: tuple[str, ...]
    model: str
    replayed: bool = False
    usage: Usage = field(default=Usage(), compare=False)


class ChatState(TypedDict, total=False):
    """The checkpointed state of a session (thread), which starts anew with every turn.

    Strings are kept inline in the checkpoint's row; a list costs a row of its own whenever it changes, so
    the degradations are one space-separated string.
    """

    turn: str
    message: str
    context: str
    results: str
    answer: str
    model: str
    degraded: str
    usage: str


@dataclass(frozen=True)
class TurnContext:
    """What a turn's nodes work with; not part of the state.

    `history` holds the session's last stored exchanges, oldest first. They come from the table of turns, not
    from the checkpoints: a turn may be stored and its last checkpoint lost.
    """

    turn: Turn
    cache: Cache
    retriever: Retriever
    tool: Tool
    models: Models
    store: Callable[[Turn, Answer], Awaitable[Answer]]
    history: tuple[Exchange, ...] = ()
    emit: Callable[[str, str], None] | None = None
    serve_stale: bool = True
    flights: Flights | None = None


def fresh(turn: Turn) -> ChatState:
    """The input of a turn: every channel of the turn before is overwritten."""
    return {
        "turn": turn.id,
        "message": turn.message,
        "context": "",
        "results": "",
        "answer": "",
        "model": "",
        "degraded": "",
        "usage": "",
    }


def degrade(state: ChatState, mode: str) -> str:
    """The degradations so far and one more, as a sorted set."""
    return " ".join(sorted({*state.get("degraded", "").split(), mode}))
