"""The database loses its primary, its standby, or the way between them."""

import pytest

from blackstart import (
    Control,
    Drill,
    Objectives,
    disk_full,
    experiment,
    freeze,
    kill,
    node_kill,
    partition,
    promoted,
    replay_paused,
    suspend,
    switchover,
)
from fixtures.postgres import (
    LEASE,
    clients_of_others,
    comes_in_step,
    committed,
    missing,
    primary,
    strict,
    writing_to,
)


@pytest.mark.headline
@experiment(
    hypothesis="When the Postgres primary's process dies, writes resume on the standby and no acknowledged "
    "turn is lost.",
    runbook="postgres-primary-down",
    objectives=Objectives(rto="10s", lost=0, split_brain=0, availability={"chat": 0.4, "sql-write": 0.4}),
    control=Control(variant="async-replication", breaks="lost"),
)
def test_primary_crash(drill: Drill) -> None:
    drill.inject(kill("postgres.primary", process="postgres"))
    drill.observe(until=promoted("postgres"), limit="30s")


@pytest.mark.headline
@experiment(
    hypothesis="When the Postgres primary is switched over as planned, clients are served again within "
    "seconds and no acknowledged turn is lost.",
    runbook="postgres-switchover",
    objectives=Objectives(rto="10s", lost=0, split_brain=0, availability={"chat": 0.4, "sql-write": 0.4}),
    control=Control(variant="tcp-check", breaks="rto"),
)
def test_planned_switchover(drill: Drill) -> None:
    drill.inject(switchover("postgres"))
    drill.observe(until=promoted("postgres"), limit="30s")


@pytest.mark.headline
@experiment(
    hypothesis="When Patroni hangs on the primary while its Postgres lives on, the standby takes over, and "
    "the former primary acknowledges no write that it could not keep.",
    runbook="postgres-zombie-primary",
    # The outage is the lease's, some 18 s of the 55 s for which the zombie is watched.
    objectives=Objectives(availability={"chat": 0.5, "sql-write": 0.5}, split_brain=0, lost=0, duplicate=0),
    control=Control(variant="async-replication", breaks="split_brain"),
    # Clients past the proxy: nobody cuts them off from the zombie.
    load={"sql-direct": 5},
)
def test_patroni_hangs(drill: Drill) -> None:
    with drill.inject(suspend("postgres.primary", process="patroni")):
        drill.observe(until=promoted("postgres"), limit="60s")
        drill.premise("clients still write to the zombie", clients_of_others(drill.stack) > 0)


@experiment(
    hypothesis="A Postgres primary that freezes is replaced, and when it goes on it acknowledges no write "
    "that it could not keep.",
    runbook="postgres-zombie-primary",
    # Who clings to the frozen node is out until it goes on, some 52 s; the others are not.
    objectives=Objectives(
        rto="75s",
        availability={"chat": 0.5, "sql-write": 0.5},
        rows_missing=0,
        lost=0,
        duplicate=0,
        split_brain=0,
    ),
    control=Control(variant="async-replication", breaks="lost"),
    load={"sql-direct": 5},
)
def test_primary_frozen(drill: Drill) -> None:
    # A client that knows this node alone: it is there in the moment in which the zombie goes on.
    with writing_to(drill.stack, primary(drill.stack)) as client:
        with drill.inject(freeze("postgres.primary")):
            drill.observe(until=promoted("postgres"), limit="60s")
            waiting = client.waiting.wait(5)
        drill.observe(limit="30s")
    drill.count("rows_missing", missing(drill.stack, client.acknowledged))
    drill.premise("the node had acknowledged writes of its client", bool(client.acknowledged))
    drill.premise("its client waited for it when it went on", waiting)


@experiment(
    hypothesis="When the primary's node is lost without a word, the standby takes over once the lease has "
    "run out, and no acknowledged turn is lost; until then it serves who only reads.",
    runbook="postgres-primary-down",
    objectives=Objectives(rto=LEASE, availability={"session": 0.95}, lost=0, duplicate=0, split_brain=0),
    control=(
        Control(variant="async-replication", breaks="lost"),
        Control(variant="no-read-only", breaks="availability"),
    ),
    expects_alert="PostgresNoPrimary",
)
def test_node_killed(drill: Drill) -> None:
    drill.inject(node_kill("postgres.primary"))
    drill.observe(until=promoted("postgres"), limit="60s")


@experiment(
    hypothesis="A primary that its clients reach and its peers do not acknowledges nothing once another may "
    "be primary.",
    runbook="postgres-zombie-primary",
    objectives=Objectives(rto=LEASE, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="async-replication", breaks="lost"),
    load={"sql-direct": 5},
)
def test_primary_cut_from_peers(drill: Drill) -> None:
    with drill.inject(partition("postgres.primary", peers=("etcd", "postgres.replica"))):
        drill.observe(until=promoted("postgres"), limit="60s")


@experiment(
    hypothesis="When the standby is lost, writes wait until Patroni no longer asks for it, and go on: "
    "nothing is lost for it.",
    runbook="postgres-standby-down",
    # Patroni looks every 2 s.
    objectives=Objectives(rto="6s", lost=0, duplicate=0, split_brain=0),
    control=Control(variant="strict-sync", breaks="rto"),
    expects_alert="PostgresNoStandby",
)
def test_standby_lost(drill: Drill) -> None:
    with drill.inject(kill("postgres.replica")):
        drill.hold("30s")


@experiment(
    hypothesis="When the primary's disk is full, the node hands the role over to its standby, which has a "
    "disk of its own, and no acknowledged turn is lost.",
    runbook="postgres-disk-full",
    # Two looks at the disk of 2 s each, a switchover of some 3 s, the proxy's check: 9 s or so.
    objectives=Objectives(rto="20s", lost=0, duplicate=0, split_brain=0),
    control=Control(variant="no-disk-guard", breaks="rto"),
)
def test_disk_full(drill: Drill) -> None:
    with drill.inject(disk_full("postgres.primary")):
        drill.observe(until=promoted("postgres"), limit="30s")
        # The disk is full still: it must not get the role back, nor be waited for.
        drill.hold("15s")


@experiment(
    hypothesis="Where Patroni is strict, a primary that has lost its standby acknowledges nothing, and goes "
    "on once the standby is back.",
    runbook="postgres-standby-down",
    # The standby is away for 25 s, and streams some 10 s later; then the pools connect.
    objectives=Objectives(rto="45s", unsafe_commits=0, lost=0, duplicate=0, split_brain=0),
    # Without synchronous replication there is nothing to be strict about: one node alone acknowledges.
    control=Control(variant="async-replication", breaks="unsafe_commits"),
)
def test_standby_lost_and_strict(drill: Drill) -> None:
    with strict(drill.stack):
        with drill.inject(kill("postgres.replica")):
            drill.hold("25s")
            drill.count("unsafe_commits", committed(drill.stack, within_s=10))
        # It must come back by its standby, not by a mode that asks for none.
        drill.observe(limit="45s")


@experiment(
    hypothesis="When the standby shows what it received only late, chats go on, and whoever is answered from "
    "its documents is told that they may be outdated.",
    runbook="postgres-standby-late",
    # Of 12 s the standby is late for 9.
    objectives=Objectives(
        availability={"chat": 0.94, "sql-write": 0.97},
        mode=["stale"],
        declared={"chat": 0.5},
        lost=0,
        duplicate=0,
    ),
    control=Control(variant="no-staleness", breaks="mode"),
)
def test_standby_late(drill: Drill) -> None:
    # Late is what lacks something for 3 s.
    with drill.inject(replay_paused("postgres.replica")):
        drill.hold("12s")


@experiment(
    hypothesis="Of five failovers in a row none takes longer than one alone, and nothing is lost on the way.",
    runbook="postgres-primary-down",
    objectives=Objectives(rto="10s", lost=0, duplicate=0, split_brain=0),
    control=Control(variant="tcp-check", breaks="rto"),
)
def test_five_failovers_in_a_row(drill: Drill) -> None:
    for number in range(1, 6):
        # The node that lost the role must be fit to take it again, else it is no failover but an outage.
        comes_in_step(drill.stack)
        with drill.inject(kill("postgres.primary", process="postgres")):
            well = drill.observe(until=promoted("postgres"), limit="30s")
        # A fault that strikes clients who are still out would measure nothing.
        assert well, f"clients were still out after failover {number}"
