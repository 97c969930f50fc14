"""The primary model provider fails: the breaker opens, the fallback answers."""

import pytest

from blackstart import Control, Drill, Objectives, experiment, llm_error
from fixtures.llm import attempts, probes_at_once

pytestmark = pytest.mark.headline

# Per app replica: 5 failures open the breaker while up to 3 more calls are under way; then one probe every
# 2 s while the fault lasts, and one more.
ATTEMPTS = 3 * (5 + 3 + 12 // 2 + 1)


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
    # Without breakers a replica's next chat begins before its last one gave up: probes_at_once breaks too.
    control=Control(variant="no-breakers", breaks="attempts"),
)
def test_primary_provider_down(drill: Drill) -> None:
    with drill.inject(llm_error("llm-1", status=503, delay="450ms")):
        drill.hold("12s")
        drill.count("attempts", attempts(drill.stack, "llm-1"))
        drill.count("probes_at_once", probes_at_once(drill.stack, "llm-1"))
