"""What flows through the graph, and what its nodes are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict

from .cache import Cache
from .llm import Models
from .retrieval import Retriever

HISTORY = 6  # exchanges that a model is shown


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


class ChatState(TypedDict, total=False):
    """The checkpointed state of a session (thread). All but `history` starts anew with every turn.

    Strings are kept inline in the checkpoint's row; a list costs a row of its own whenever it changes, so
    the degradations are one space-separated string.
    """

    turn: str
    message: str
    context: str
    answer: str
    model: str
    degraded: str
    history: list[list[str]]


@dataclass(frozen=True)
class TurnContext:
    """What a turn's nodes work with; not part of the state."""

    turn: Turn
    cache: Cache
    retriever: Retriever
    models: Models
    store: Callable[[Turn, Answer], Awaitable[Answer]]
    emit: Callable[[str, str], None] | None = None


def fresh(turn: Turn) -> ChatState:
    """The input of a turn: every channel of the turn before is overwritten."""
    return {
        "turn": turn.id,
        "message": turn.message,
        "context": "",
        "answer": "",
        "model": "",
        "degraded": "",
    }


def degrade(state: ChatState, mode: str) -> str:
    """The degradations so far and one more, as a sorted set."""
    return " ".join(sorted({*state.get("degraded", "").split(), mode}))
