"""The database loses its primary."""

import pytest

from blackstart import Control, Drill, Objectives, experiment, kill, promoted, switchover

pytestmark = pytest.mark.headline


@experiment(
    hypothesis="When the Postgres primary's process dies, writes resume on the standby "
    "and no acknowledged turn is lost.",
    runbook="postgres-primary-down",
    objectives=Objectives(rto="15s", lost=0, split_brain=0, availability=0.4),
    control=Control(variant="async-replication", breaks="lost"),
)
def test_primary_crash(drill: Drill) -> None:
    drill.inject(kill("postgres.primary", process="postgres"))
    drill.observe(until=promoted("postgres"), limit="30s")


@experiment(
    hypothesis="When the Postgres primary is switched over as planned, clients are served again within "
    "seconds and no acknowledged turn is lost.",
    runbook="postgres-switchover",
    objectives=Objectives(rto="15s", lost=0, split_brain=0, availability=0.4),
    control=Control(variant="tcp-check", breaks="rto"),
)
def test_planned_switchover(drill: Drill) -> None:
    drill.inject(switchover("postgres"))
    drill.observe(until=promoted("postgres"), limit="30s")
