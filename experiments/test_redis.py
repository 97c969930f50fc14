"""The cache goes away, comes back empty, or answers late: conversations go on."""

import pytest

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    cache_flushed,
    edge_latency,
    experiment,
    freeze,
    kill,
    llm_slow_first_token,
    partition,
    promoted,
    redis_memory_full,
)
from fixtures.cache import failing_over, hints_ever, keep, keeping, kept, named, primary
from fixtures.llm import asked
from fixtures.load import FEW_OTHERS, SOME_JOBS
from sut.load import POPULAR

CHATS = {"chat": 1.0, "session": 1.0}
#: A job is accepted by Postgres, whatever Redis takes.
JOBS_TOO = {**CHATS, "job": 1.0}
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
    # Of all kinds together: the fault lasts for less than a second, in which no session may be due.
    objectives=Objectives(keys_lost=0, availability=0.99, interrupted=0),
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
    # 105 chats on either side of the fault, of which a third are of the slow replica: the tenth slowest
    # decides. The second slowest, the p99, moves by hundreds of milliseconds with the machine alone.
    drill.hold("35s")
    drill.inject(edge_latency("app-1", "redis.primary", latency="800ms", direction="upstream"))
    drill.hold("35s")


@experiment(
    hypothesis="A Redis primary that freezes is replaced, and chats wait for it no longer than for any slow "
    "cache.",
    runbook="redis-primary-down",
    # Of ten seconds the primary is frozen for two: every fifth chat or so meets it.
    objectives=Objectives(
        availability=CHATS, interrupted=0, p90={"chat": "700ms"}, mode=MODES, lost=0, duplicate=0
    ),
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
    objectives=Objectives(failovers_missing=0, availability=CHATS, mode=MODES, lost=0, duplicate=0),
    control=Control(variant="sentinels-unanimous", breaks="failovers_missing"),
    blast_radius=BlastRadius(zones=2),
)
def test_primary_killed_with_a_sentinel_down(drill: Drill) -> None:
    with drill.inject(kill("sentinel-3")):
        drill.hold("3s")
        holder = named(drill.stack)
        drill.inject(kill("redis.primary"))
        drill.observe(until=promoted("redis"), limit="20s")
        drill.count("failovers_missing", int(named(drill.stack) == holder))


@experiment(
    hypothesis="A Redis primary that only its clients still reach takes writes for some seconds more and "
    "then refuses them; chats go on, and every job is done.",
    runbook="redis-replica-down",
    # Ten keys a second, for as long as a replica may be silent and a second more.
    objectives=Objectives(
        keys_lost=80, wrong_answers=0, availability=JOBS_TOO, mode=MODES, lost=0, duplicate=0
    ),
    control=Control(variant="no-min-replicas", breaks="keys_lost"),
    load=SOME_JOBS,
)
def test_primary_cut_from_its_peers(drill: Drill) -> None:
    isolated = primary(drill.stack)
    with (
        drill.inject(partition("redis.primary", peers=("sentinel", "redis.replica"))),
        keeping(drill.stack, isolated) as client,
    ):
        drill.observe(until=promoted("redis"), limit="20s")
        drill.hold("15s")
    drill.count("keys_lost", len(client.acknowledged - kept(drill.stack, client.acknowledged)))
    # Silence would keep the loss small as well: it has to say that it takes no more.
    refused = any("not enough good replicas" in said.lower() for said in client.refusals)
    drill.count("wrong_answers", int(not refused))
    drill.premise("the isolated primary took writes", bool(client.acknowledged))


@experiment(
    hypothesis="Without its replica the Redis primary takes no writes: chats go on without a cache that "
    "fills, and the jobs wait and are all done.",
    runbook="redis-replica-down",
    objectives=Objectives(availability=JOBS_TOO, mode=MODES, lost=0, duplicate=0),
    control=(
        Control(variant="no-cache-fallback", breaks="availability"),
        # Answers lack nothing then: it took the writes.
        Control(variant="no-min-replicas", breaks="mode"),
    ),
    load=SOME_JOBS,
)
def test_replica_lost(drill: Drill) -> None:
    with drill.inject(kill("redis.replica")):
        drill.hold("15s")


@experiment(
    hypothesis="One Sentinel of three promotes nobody by itself, and without a primary chats go on.",
    runbook="redis-primary-down",
    objectives=Objectives(failovers=0, availability=CHATS, mode=MODES, lost=0, duplicate=0),
    control=Control(variant="no-cache-fallback", breaks="availability"),
    blast_radius=BlastRadius(instances=2, zones=3, faults=3),
)
def test_quorum_of_sentinels_lost(drill: Drill) -> None:
    holder = named(drill.stack)
    with (
        drill.inject(kill("sentinel-2")),
        drill.inject(kill("sentinel-3", allow_total_loss=True)),
        drill.inject(kill("redis.primary")),
    ):
        drill.hold("15s")
        drill.count("failovers", int(named(drill.stack) != holder))


@experiment(
    hypothesis="When the Sentinel that leads a failover dies in the middle of it, another one finishes it.",
    runbook="redis-primary-down",
    objectives=Objectives(failovers_missing=0, availability=CHATS, mode=MODES, lost=0, duplicate=0),
    control=Control(variant="sentinels-unanimous", breaks="failovers_missing"),
    blast_radius=BlastRadius(zones=3),
)
def test_sentinel_crashes_in_a_failover(drill: Drill) -> None:
    holder = named(drill.stack)
    with drill.inject(kill("redis.primary")):
        leader = failing_over(drill.stack)
        drill.premise("a Sentinel was seen to lead a failover", leader is not None)
        if leader is not None:
            with drill.inject(kill(leader)):
                drill.premise("the failover was not over", named(drill.stack) == holder)
                # The others wait for twice the failover's time before they try.
                drill.observe(until=promoted("redis"), limit="40s")
                drill.count("failovers_missing", int(named(drill.stack) == holder))


@experiment(
    hypothesis="When Redis has no memory left it forgets cached answers, never the job stream, and chats "
    "go on.",
    runbook="redis-memory-full",
    objectives=Objectives(keys_lost=0, availability=JOBS_TOO, mode=MODES, lost=0, duplicate=0),
    control=Control(variant="evictable-stream", breaks="keys_lost"),
    load=SOME_JOBS,
)
def test_memory_full(drill: Drill) -> None:
    before = hints_ever(drill.stack)
    with drill.inject(redis_memory_full("redis.primary")):
        drill.hold("12s")
        # A stream that was evicted counts from nothing again.
        drill.count("keys_lost", int(hints_ever(drill.stack) < before))
    drill.premise("the stream held hints", before > 0)


@experiment(
    hypothesis="When the cache is emptied while many ask the same, each replica asks a model once.",
    runbook="redis-primary-down",
    # A replica's call may run out of time and be made again elsewhere. Of ten askers a second nine come
    # before the first answer is there.
    objectives=Objectives(attempts=5, availability={"popular": 0.97}, lost=0, duplicate=0),
    control=Control(variant="no-single-flight", breaks="attempts"),
    load={"popular": 10, **FEW_OTHERS},
    blast_radius=BlastRadius(zones=2),
)
def test_stampede(drill: Drill) -> None:
    # A model that answers at once leaves no time for a stampede.
    with drill.inject(llm_slow_first_token("llm-1", delay="900ms", endpoint="chat")):
        drill.hold("5s")
        before = asked(drill.stack, POPULAR)
        drill.inject(cache_flushed("redis.primary"))
        drill.hold("5s")
        calls = asked(drill.stack, POPULAR) - before
        drill.count("attempts", calls)
        drill.premise("the answer had to be made anew", calls > 0)
