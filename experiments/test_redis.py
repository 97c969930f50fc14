"""The cache goes away, comes back empty, or answers late: conversations go on."""

import pytest

from blackstart import Control, Drill, Objectives, edge_latency, experiment, kill, promoted
from fixtures.cache import keep, kept, primary

pytestmark = pytest.mark.headline

CHATS = {"chat": 1.0, "session": 1.0}


@experiment(
    hypothesis="When the Redis primary dies, a Sentinel promotes the replica, and chats go on throughout "
    "without the cache.",
    runbook="redis-primary-down",
    objectives=Objectives(availability=CHATS, interrupted=0, mode=["no-cache"], lost=0, duplicate=0),
    control=Control(variant="no-cache-fallback", breaks="availability"),
)
def test_primary_killed(drill: Drill) -> None:
    drill.inject(kill("redis.primary"))
    drill.observe(until=promoted("redis"), limit="20s")


@experiment(
    hypothesis="A Redis primary that is back before the Sentinels notice does not come back empty.",
    runbook="redis-primary-down",
    objectives=Objectives(keys_lost=0, availability=CHATS, interrupted=0),
    control=Control(variant="no-persistence", breaks="keys_lost"),
)
def test_primary_back_at_once(drill: Drill) -> None:
    keys, holder = keep(drill.stack), primary(drill.stack)
    with drill.inject(kill("redis.primary", process="redis-server")):
        pass
    drill.observe(limit="10s")
    drill.count("keys_lost", len(keys - kept(drill.stack, keys)))
    drill.premise("no Sentinel failed over", primary(drill.stack) == holder)


@experiment(
    hypothesis="When one replica's way to the cache is slow, its chats skip the cache and are hardly later.",
    runbook="redis-slow",
    objectives=Objectives(p90={"chat": "+150ms"}, availability=CHATS, interrupted=0, mode=["no-cache"]),
    control=Control(variant="no-cache-timeout", breaks="p90"),
)
def test_slow_edge(drill: Drill) -> None:
    # 150 chats on either side of the fault, of which a third are of the slow replica: the fifteenth slowest
    # decides. The second slowest, the p99, moves by hundreds of milliseconds with the machine alone.
    drill.hold("30s")
    drill.inject(edge_latency("app-1", "redis.primary", latency="800ms", direction="upstream"))
    drill.hold("30s")
