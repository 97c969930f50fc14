"""The database loses its primary."""

import pytest

from blackstart import Control, Drill, Objectives, experiment, kill, promoted, suspend, switchover
from fixtures.postgres import clients_of_others

pytestmark = pytest.mark.headline


@experiment(
    hypothesis="When the Postgres primary's process dies, writes resume on the standby "
    "and no acknowledged turn is lost.",
    runbook="postgres-primary-down",
    objectives=Objectives(rto="15s", lost=0, split_brain=0, availability={"chat": 0.4, "sql-write": 0.4}),
    control=Control(variant="async-replication", breaks="lost"),
)
def test_primary_crash(drill: Drill) -> None:
    drill.inject(kill("postgres.primary", process="postgres"))
    drill.observe(until=promoted("postgres"), limit="30s")


@experiment(
    hypothesis="When the Postgres primary is switched over as planned, clients are served again within "
    "seconds and no acknowledged turn is lost.",
    runbook="postgres-switchover",
    objectives=Objectives(rto="15s", lost=0, split_brain=0, availability={"chat": 0.4, "sql-write": 0.4}),
    control=Control(variant="tcp-check", breaks="rto"),
)
def test_planned_switchover(drill: Drill) -> None:
    drill.inject(switchover("postgres"))
    drill.observe(until=promoted("postgres"), limit="30s")


@experiment(
    hypothesis="When Patroni hangs on the primary while its Postgres lives on, the standby takes over, and "
    "the former primary acknowledges no write that it could not keep.",
    runbook="postgres-zombie-primary",
    objectives=Objectives(split_brain=0, lost=0, duplicate=0),
    control=Control(variant="async-replication", breaks="split_brain"),
    # Clients past the proxy: nobody cuts them off from the zombie.
    load={"sql-direct": 20},
)
def test_patroni_hangs(drill: Drill) -> None:
    with drill.inject(suspend("postgres.primary", process="patroni")):
        drill.observe(until=promoted("postgres"), limit="60s")
        drill.premise("clients still write to the zombie", clients_of_others(drill.stack) > 0)
