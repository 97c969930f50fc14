"""The limits of one replica, made from its settings, and their metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge
from redis.asyncio import Redis

from . import deadline
from .admission import Gate, Sessions
from .breaker import Breaker
from .bulkhead import Bulkhead
from .config import Settings
from .llm import Called
from .rate import RateLimit
from .retries import RetryBudget
from .state import Turn


@dataclass(frozen=True)
class Limits:
    """What a request passes before it is served; without settings nothing is limited."""

    gate: Gate = field(default_factory=Gate)
    rate: RateLimit | None = None
    sessions: Sessions = field(default_factory=Sessions)

    async def admit(self, user: str, left: str | None) -> tuple[str, ...]:
        """Let a request of `user` pass; the degradations of doing so. Raises Refusal 429 or 504.

        `left` is the header of `deadline`.
        """
        deadline.begin(left)
        shared = self.rate is None or await self.rate.admit(user)
        return () if shared else ("local-rate-limit",)

    async def begin(self, turn: Turn) -> None:
        """Wait for the turn's session, then for a place; `end` gives both back.

        Raises Refusal 503 or 504, nothing being applied.
        """
        deadline.restart()
        # By user: a stranger who names another's session does not stand in its line.
        whose = turn.subject, turn.session
        await self.sessions.enter(whose, deadline.current(self.gate.within).ends)
        try:
            await self.gate.enter()
        except BaseException:
            self.sessions.leave(whose)
            raise

    def end(self, turn: Turn) -> None:
        """Give back what `begin` took."""
        self.gate.leave()
        self.sessions.leave((turn.subject, turn.session))


class LimitMetrics:
    """What was refused and why, how full things are, what models were asked and what they cost."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.refused = self._counter("app_limited", "Requests refused by a limit.", "reason")
        self.full = self._counter("app_bulkhead_full", "Calls not made: bulkhead full.", "dependency")
        self.calls = self._counter("app_llm_calls", "Calls of models.", "provider", "tier", "outcome")
        self.tokens = self._counter("app_llm_tokens", "Tokens used.", "provider", "tier", "kind")
        self.cost = self._counter("app_llm_cost_usd", "What the tokens cost.", "provider", "tier")
        self.retries = self._counter("app_llm_retries", "Second calls of a provider.", "provider", "granted")
        self._in_use = self._gauge("app_bulkhead_in_use", "Calls under way.", "dependency")
        self._budget = self._gauge("app_retry_budget", "Retries that would be granted now.", "provider")

    def refuse(self, reason: str) -> None:
        """Count a request refused."""
        self.refused.labels(reason).inc()

    def call(self, called: Called) -> None:
        """Count a call of a model."""
        labels = (called.target.provider.name, called.target.tier)
        self.calls.labels(*labels, called.outcome).inc()
        self.tokens.labels(*labels, "prompt").inc(called.usage.prompt)
        self.tokens.labels(*labels, "completion").inc(called.usage.completion)
        self.cost.labels(*labels).inc(called.usage.micros / 1e6)

    def bulkhead(
        self, name: str, settings: Settings, places: int | None = None, *, wait_s: float = 0.1
    ) -> Bulkhead:
        """A bulkhead whose use is exported, with as many places as the settings say unless given."""
        limit = None if "bulkhead" in settings.without else places or settings.bulkhead
        made = Bulkhead(name, limit, wait_s=wait_s, on_full=lambda full: self.full.labels(full).inc())
        self._in_use.labels(name).set_function(lambda: made.in_use)
        return made

    def retry_budget(self, name: str, settings: Settings) -> RetryBudget:
        """A retry budget whose balance and use are exported."""
        ratio = None if "retry-budget" in settings.without else settings.retry_ratio
        made = RetryBudget(ratio, on_retry=lambda yes: self.retries.labels(name, str(yes).lower()).inc())
        self._budget.labels(name).set_function(lambda: made.left)
        return made

    def limits(self, settings: Settings, redis: Redis, breaker: Breaker, patience: float) -> Limits:
        """The limits of a replica, as its settings say."""
        gate = Gate(
            None if "shedding" in settings.without else settings.turns_in_work,
            settings.turns_in_line,
            within=settings.start_within,
            on_refused=self.refuse,
        )
        self._watch("app_turns_in_work", "Turns admitted.", lambda: gate.working)
        self._watch("app_turns_in_line", "Turns waiting for admission.", lambda: gate.waiting)
        sessions = Sessions(settings.session_in_line, on_refused=self.refuse)
        if "rate-limit" in settings.without:
            return Limits(gate, sessions=sessions)
        rate = RateLimit(
            redis,
            breaker,
            rate=settings.user_rate,
            burst=settings.user_burst,
            replicas=settings.replicas,
            timeout=patience,
            on_refused=self.refuse,
        )
        return Limits(gate, rate, sessions)

    def _watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, registry=self._registry).set_function(value)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)
