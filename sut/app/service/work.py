"""What a job can ask for: a chat turn, a summary, or an answer that a person approves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from langchain_core.messages import HumanMessage, SystemMessage
from opentelemetry.trace import SpanKind

from .approval import Approvals, Question
from .content import PLAIN, Box
from .errors import SPENT, Refusal
from .leases import Claim
from .llm import Models
from .state import Answer, Turn, degrade
from .tracing import span

SUMMARISE = "Summarise the text in at most three sentences. Add nothing."


class Turns(Protocol):
    """What is asked of the runner; raises Refusal."""

    async def run(self, turn: Turn) -> Answer:
        """Answer one turn."""


@dataclass(frozen=True)
class Jobwork:
    """The work by kind, each of which may be begun twice.

    Raises Refusal, 402 where the session has cost `budget_micros` millionths of a dollar, ModelsUnavailable,
    Unreadable or database trouble. What a chat costs the runner bills; the others say it in their outcome.
    """

    turns: Turns
    models: Models
    approvals: Approvals
    box: Box = PLAIN
    budget_micros: int | None = None

    async def __call__(self, claim: Claim) -> Answer | Question:
        """The outcome of a claimed job."""
        # A trace of its own: the request that the job was accepted in has long been answered.
        with span(f"job {claim.kind}", SpanKind.CONSUMER, accepted_in=claim.trace_id):
            return await self.kinds[claim.kind](claim.opened(self.box))

    @property
    def kinds(self) -> Mapping[str, Callable[[Claim], Awaitable[Answer | Question]]]:
        """How each kind is done."""
        return {"approval": self._approval, "chat": self._chat, "summary": self._summary}

    async def _chat(self, claim: Claim) -> Answer:
        # The job's key is the turn's: done twice, it is the same turn of its session.
        return await self.turns.run(Turn(claim.session, claim.id, claim.subject, claim.input, claim.trace_id))

    async def _approval(self, claim: Claim) -> Answer | Question:
        # What a person has been asked is finished: it costs nothing more.
        if claim.thread is None:
            self._afford(claim)
        return await self.approvals.run(claim)

    async def _summary(self, claim: Claim) -> Answer:
        self._afford(claim)
        generated = await self.models.answer([SystemMessage(SUMMARISE), HumanMessage(claim.input)])
        degraded = degrade({}, "fallback-model") if generated.fallback else ""
        return Answer(generated.text, tuple(degraded.split()), generated.model, usage=generated.usage)

    def _afford(self, claim: Claim) -> None:
        """Raise Refusal unless the session may be billed for one job more."""
        if claim.owner not in (None, claim.subject):
            raise Refusal(403, "the session belongs to someone else")
        if self.budget_micros is not None and claim.spent >= self.budget_micros:
            raise Refusal(402, SPENT)
