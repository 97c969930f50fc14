"""A balancer dies or is restarted: clients know two."""

import pytest

from blackstart import BlastRadius, Control, Drill, Objectives, experiment, kill, rolling_restart

CLIENTS = Objectives(availability={"chat": 1.0, "session": 1.0}, interrupted=0, lost=0, duplicate=0)


@pytest.mark.headline
@experiment(
    hypothesis="When a balancer dies, its clients go to the other one at once: no request fails, and none is "
    "executed twice.",
    runbook="front-down",
    objectives=CLIENTS,
    control=Control(variant="one-front", breaks="availability"),
)
def test_front_killed(drill: Drill) -> None:
    with drill.inject(kill("front-1")):
        drill.hold("10s")


@experiment(
    hypothesis="Balancers that are restarted one by one cost no request.",
    runbook="front-down",
    objectives=CLIENTS,
    control=Control(variant="one-front", breaks="availability"),
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_fronts_restarted(drill: Drill) -> None:
    drill.inject(rolling_restart("front"))
    drill.observe(limit="20s")
