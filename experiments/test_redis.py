"""The cache goes away, comes back empty, or answers late: conversations go on."""

import pytest

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    edge_latency,
    experiment,
    freeze,
    kill,
    promoted,
)
from fixtures.cache import keep, kept, primary

CHATS = {"chat": 1.0, "session": 1.0}
MODES = ["no-cache", "local-rate-limit"]


@pytest.mark.headline
@experiment(
    hypothesis="When the Redis primary dies, a Sentinel promotes the replica, and chats go on throughout "
    "without the cache.",
    runbook="redis-primary-down",
    objectives=Objectives(availability=CHATS, interrupted=0, mode=MODES, lost=0, duplicate=0),
    control=Control(variant="no-cache-fallback", breaks="availability"),
)
def test_primary_killed(drill: Drill) -> None:
    drill.inject(kill("redis.primary"))
    drill.observe(until=promoted("redis"), limit="20s")


@pytest.mark.headline
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


@pytest.mark.headline
@experiment(
    hypothesis="When one replica's way to the cache is slow, its chats skip the cache and are hardly later.",
    runbook="redis-slow",
    objectives=Objectives(p90={"chat": "+150ms"}, availability=CHATS, interrupted=0, mode=MODES),
    control=Control(variant="no-cache-timeout", breaks="p90"),
)
def test_slow_edge(drill: Drill) -> None:
    # 150 chats on either side of the fault, of which a third are of the slow replica: the fifteenth slowest
    # decides. The second slowest, the p99, moves by hundreds of milliseconds with the machine alone.
    drill.hold("30s")
    drill.inject(edge_latency("app-1", "redis.primary", latency="800ms", direction="upstream"))
    drill.hold("30s")


@experiment(
    hypothesis="A Redis primary that freezes is replaced, and chats wait for it no longer than for any slow "
    "cache.",
    runbook="redis-primary-down",
    objectives=Objectives(availability=CHATS, interrupted=0, mode=MODES, lost=0, duplicate=0),
    control=Control(variant="no-cache-timeout", breaks="availability"),
)
def test_primary_frozen(drill: Drill) -> None:
    with drill.inject(freeze("redis.primary")):
        drill.observe(until=promoted("redis"), limit="20s")


@experiment(
    hypothesis="Without any Redis, chats go on without the cache.",
    runbook="redis-primary-down",
    objectives=Objectives(availability=CHATS, interrupted=0, mode=MODES, lost=0, duplicate=0),
    control=Control(variant="no-cache-fallback", breaks="availability"),
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_both_lost(drill: Drill) -> None:
    with drill.inject(kill("redis", allow_total_loss=True)):
        drill.hold("15s")


@experiment(
    hypothesis="Two of three Sentinels suffice to promote the replica.",
    runbook="redis-primary-down",
    objectives=Objectives(availability=CHATS, mode=MODES, lost=0, duplicate=0),
    control=Control(variant="no-cache-fallback", breaks="availability"),
    blast_radius=BlastRadius(zones=2),
)
def test_primary_killed_with_a_sentinel_down(drill: Drill) -> None:
    with drill.inject(kill("sentinel-3")):
        drill.hold("3s")
        drill.inject(kill("redis.primary"))
        drill.observe(until=promoted("redis"), limit="20s")
