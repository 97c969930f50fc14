"""Drills on Postgres: primary and synchronous standby under Patroni.

Bounds on timings are about three times what is typical (2 s to recover, 15 % of operations not served in the
10 s that a kill is in force); bounds on what is lost have no headroom.
"""

from blackstart import Control, Drill, Objectives, experiment, kill, promoted


@experiment(
    hypothesis="When the Postgres primary's process dies, writes resume on the standby "
    "and no acknowledged turn is lost.",
    runbook="postgres-primary-down",
    objectives=Objectives(rto="10s", lost=0, split_brain=0, availability=0.55),
    control=Control(variant="async-replication", breaks="lost"),
    expects_alert=None,
)
def test_primary_crash(drill: Drill) -> None:
    drill.inject(kill("postgres.primary", process="postgres"))
    drill.observe(until=promoted("postgres"), limit="30s")
