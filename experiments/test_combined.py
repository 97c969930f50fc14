"""Two things at once that the service survives one at a time."""

from blackstart import BlastRadius, Control, Drill, Objectives, experiment, kill, llm_error, promoted

IN_HASTE = ("no-cache", "local-rate-limit", "no-tool")


@experiment(
    hypothesis="A failover of Postgres while the primary model provider is down takes no longer than "
    "without, and the fallback goes on answering.",
    runbook="postgres-primary-down",
    # Both are one episode, whose first 5 s are the provider's alone: a failover has 15 s.
    objectives=Objectives(
        rto="20s",
        # What the two lead to, and what is not had in time while every replica connects anew.
        mode=["fallback-model", "no-retrieval", "read-only", "stale", *IN_HASTE],
        lost=0,
        duplicate=0,
        split_brain=0,
    ),
    control=Control(variant="async-replication", breaks="lost"),
    # The control cuts the replication link besides.
    blast_radius=BlastRadius(zones=2, faults=3),
)
def test_failover_without_the_primary_provider(drill: Drill) -> None:
    with drill.inject(llm_error("llm-1", status=503)):
        drill.hold("5s")
        drill.inject(kill("postgres.primary", process="postgres"))
        drill.observe(until=promoted("postgres"), limit="30s")


@experiment(
    hypothesis="Without the cache and the search tool at once, every chat is answered, by documents and "
    "model alone.",
    runbook="redis-primary-down",
    objectives=Objectives(
        availability={"chat": 1.0, "session": 1.0},
        mode=["no-cache", "local-rate-limit", "no-tool"],
        lost=0,
        duplicate=0,
    ),
    control=(
        Control(variant="no-cache-fallback", breaks="availability"),
        Control(variant="tool-required", breaks="availability"),
    ),
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_redis_and_the_tool_down(drill: Drill) -> None:
    with (
        drill.inject(kill("redis", allow_total_loss=True)),
        drill.inject(kill("tool-1", allow_total_loss=True)),
    ):
        drill.hold("15s")
