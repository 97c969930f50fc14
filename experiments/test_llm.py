"""The primary model provider fails: the breaker opens, the fallback answers."""

import pytest

from blackstart import Control, Drill, Objectives, experiment, llm_error, llm_hang, llm_rate_limit
from fixtures.llm import attempts, probes_at_once

# Per app replica and endpoint: 5 failures open the breaker while up to 3 more calls are under way; then one
# probe every 2 s while the fault lasts, and one more.
ATTEMPTS = 3 * 2 * (5 + 3 + 12 // 2 + 1)


@pytest.mark.headline
@experiment(
    hypothesis="When the primary model provider fails, the fallback answers every chat, the dead provider is "
    "asked by one probe at a time only, and it is used again once it is back.",
    runbook="llm-provider-down",
    objectives=Objectives(
        availability={"chat": 1.0},
        mode=["fallback-model", "no-retrieval"],
        attempts=ATTEMPTS,
        probes_at_once=1,
        lost=0,
        duplicate=0,
    ),
    control=(
        Control(variant="no-breakers", breaks="attempts"),
        Control(variant="crowded-probes", breaks="probes_at_once"),
    ),
)
def test_primary_provider_down(drill: Drill) -> None:
    # A refused chat takes longer than it takes the next one to come: a breaker that lets it through shows.
    chats = llm_error("llm-1", status=503, delay="1s", endpoint="chat")
    embeddings = llm_error("llm-1", status=503, endpoint="embeddings")
    with drill.inject(chats), drill.inject(embeddings):
        drill.hold("12s")
        drill.count("attempts", attempts(drill.stack, "llm-1"))
        drill.count("probes_at_once", probes_at_once(drill.stack, "llm-1"))


@experiment(
    hypothesis="When the primary model provider takes calls and answers none, the fallback answers every "
    "chat, and few calls are left to hang.",
    runbook="llm-provider-down",
    objectives=Objectives(
        availability={"chat": 1.0},
        mode=["fallback-model", "no-retrieval"],
        attempts=ATTEMPTS,
        probes_at_once=1,
        lost=0,
        duplicate=0,
    ),
    control=Control(variant="no-breakers", breaks="attempts"),
)
def test_primary_provider_hangs(drill: Drill) -> None:
    with drill.inject(llm_hang("llm-1")):
        drill.hold("12s")
        drill.count("attempts", attempts(drill.stack, "llm-1"))
        drill.count("probes_at_once", probes_at_once(drill.stack, "llm-1"))


@experiment(
    hypothesis="When the primary model provider answers 429, it is asked seldom, and the fallback answers "
    "every chat.",
    runbook="llm-provider-down",
    objectives=Objectives(
        availability={"chat": 1.0},
        mode=["fallback-model", "no-retrieval"],
        attempts=ATTEMPTS,
        lost=0,
        duplicate=0,
    ),
    control=Control(variant="no-breakers", breaks="attempts"),
)
def test_rate_limited(drill: Drill) -> None:
    with drill.inject(llm_rate_limit("llm-1")):
        drill.hold("12s")
        drill.count("attempts", attempts(drill.stack, "llm-1"))
