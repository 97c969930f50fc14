"""What the database's clients have under way when it fails; connections that are dead or not to be had."""

from blackstart import (
    Control,
    Drill,
    Objectives,
    edge_timeout,
    experiment,
    kill,
    node_kill,
    postgres_connections,
    promoted,
)
from fixtures.postgres import LEASE, long_transactions, present
from fixtures.streams import streaming


@experiment(
    hypothesis="When others have taken every connection that Postgres gives, the service lives on those that "
    "its pools hold.",
    runbook="postgres-connections",
    objectives=Objectives(
        availability={"chat": 0.95, "session": 0.95, "sql-write": 0.95}, lost=0, duplicate=0, split_brain=0
    ),
    control=Control(variant="no-pooling", breaks="availability"),
)
def test_exhausted(drill: Drill) -> None:
    with drill.inject(postgres_connections("postgres.primary", user="app", database="app")):
        drill.hold("20s")


@experiment(
    hypothesis="When the pooled connections of one replica lead nowhere, it notices within seconds and is "
    "sent no more chats.",
    runbook="postgres-connections",
    # Some 4 s pass until the check of the pool, the replica's readiness and the front have found it out.
    objectives=Objectives(availability={"chat": 0.85}, lost=0, duplicate=0),
    control=Control(variant="no-pool-check", breaks="availability"),
)
def test_half_open(drill: Drill) -> None:
    # Nothing is closed and nothing refused: what is said just vanishes.
    with drill.inject(edge_timeout("app-1", "pgproxy-1", port=5000)):
        drill.hold("25s")


@experiment(
    hypothesis="Of transactions that a failover interrupts before their COMMIT nothing remains, and of those "
    "acknowledged everything.",
    runbook="postgres-primary-down",
    # A transaction takes 4 s, so the first that ends well is 4 s later than the first short write.
    objectives=Objectives(rto="20s", rows_unexpected=0, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="async-replication", breaks="lost"),
    load={"sql-long": 2},
)
def test_failover_in_a_transaction(drill: Drill) -> None:
    # What the load has interrupted may have been committed, for all it knows: this client says when it asks.
    with long_transactions(drill.stack) as interrupted:
        drill.hold("6s")
        drill.inject(kill("postgres.primary", process="postgres"))
        drill.observe(until=promoted("postgres"), limit="30s")
        drill.hold("5s")
    drill.premise("a transaction was interrupted before its COMMIT", bool(interrupted))
    drill.count("rows_unexpected", present(drill.stack, interrupted))


@experiment(
    hypothesis="A stream that loses its database ends with an event that says so: no client takes half an "
    "answer for a whole one.",
    runbook="postgres-primary-down",
    objectives=Objectives(unended=0, rto=LEASE, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="no-stream-end", breaks="unended"),
)
def test_failover_in_a_stream(drill: Drill) -> None:
    with streaming(drill.stack) as streams:
        drill.hold("5s")
        drill.inject(node_kill("postgres.primary"))
        drill.observe(until=promoted("postgres"), limit="60s")
    drill.count("unended", streams.unended)
    drill.premise("streams lost their database", streams.failed + streams.unended > 0)
