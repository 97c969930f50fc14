"""Drills on Postgres: primary and synchronous standby under Patroni."""

from blackstart import Control, Drill, Objectives, experiment, kill, promoted


@experiment(
    hypothesis="When the Postgres primary's process dies, writes resume on the standby "
    "and no acknowledged turn is lost.",
    runbook="postgres-primary-down",
    objectives=Objectives(rto="10s", lost=0, split_brain=0, availability=0.85),
    control=Control(variant="async-replication", breaks="lost"),
    expects_alert=None,
)
def test_primary_crash(drill: Drill) -> None:
    drill.inject(kill("postgres.primary", process="postgres"))
    drill.observe(until=promoted("postgres"), limit="30s")
