"""The store of the database's lease loses its leader or its majority, or the primary the way to it."""

from blackstart import BlastRadius, Control, Drill, Objectives, experiment, kill, partition
from fixtures.postgres import other_leader, primary, primary_now
from sut.conditions import etcd_leader

#: Nobody should notice; of 75 chats and 600 raw writes or more some may meet a machine that is busy. Half of
#: them fail where the primary steps down.
UNNOTICED = {"chat": 0.95, "sql-write": 0.97}


@experiment(
    hypothesis="When the leader of etcd dies, the other two elect another while the lease still runs: nobody "
    "notices.",
    runbook="etcd-down",
    # Where nobody is elected, the failsafe hides it from clients: that somebody was is counted by itself.
    objectives=Objectives(
        availability=UNNOTICED, failovers=0, failovers_missing=0, lost=0, duplicate=0, split_brain=0
    ),
    control=Control(variant="etcd-without-spare", breaks="failovers_missing"),
)
def test_leader_killed(drill: Drill) -> None:
    holder, leader = primary(drill.stack), etcd_leader(drill.stack)
    # In the control it takes the quorum along.
    with drill.inject(kill(leader or "etcd-1", allow_total_loss=True)):
        drill.hold("25s")
        drill.count("failovers_missing", int(other_leader(drill.stack, leader) is None))
    drill.observe(limit="30s")
    drill.premise("the member that was killed led", leader is not None)
    drill.count("failovers", int(primary_now(drill.stack) != holder))


@experiment(
    hypothesis="While etcd has no quorum, the primary goes on: its standby vouches that there is no other.",
    runbook="etcd-down",
    objectives=Objectives(availability=UNNOTICED, failovers=0, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="no-failsafe", breaks="availability"),
    expects_alert="EtcdWithoutLeader",
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_quorum_lost(drill: Drill) -> None:
    holder = primary(drill.stack)
    with drill.inject(kill("etcd-2")), drill.inject(kill("etcd-3", allow_total_loss=True)):
        # Longer than the lease, which nobody can renew.
        drill.hold("30s")
        drill.premise("no member of etcd leads", etcd_leader(drill.stack) is None)
    drill.observe(limit="30s")
    drill.count("failovers", int(primary_now(drill.stack) != holder))


@experiment(
    hypothesis="A primary that alone cannot reach etcd goes on as well, and the standby, which sees the "
    "lease run out, leaves it the role.",
    runbook="etcd-down",
    objectives=Objectives(availability=UNNOTICED, failovers=0, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="no-failsafe", breaks="availability"),
    load={"sql-direct": 5},
)
def test_primary_cut_off(drill: Drill) -> None:
    holder = primary(drill.stack)
    with drill.inject(partition("postgres.primary", peers="etcd")):
        drill.hold("35s")
    drill.observe(limit="30s")
    drill.count("failovers", int(primary_now(drill.stack) != holder))
