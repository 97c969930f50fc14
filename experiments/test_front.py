"""A balancer dies, is restarted, or loses its connections: clients know two."""

import pytest

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    edge_reset,
    experiment,
    kill,
    rolling_restart,
)

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


@experiment(
    hypothesis="When all connections of the front to one replica are reset, the others answer, and no "
    "turn is executed twice.",
    runbook="app-replica-down",
    # Two of 30 chats or of 20 reads; where nobody tries another replica, a third of them fails.
    objectives=Objectives(availability={"chat": 0.93, "session": 0.9}, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_connections_reset(drill: Drill) -> None:
    with drill.inject(edge_reset("front", "app-1")):
        drill.hold("10s")
