"""Replicas of the app die, freeze, or are restarted."""

import time

import pytest

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    edge_timeout,
    experiment,
    freeze,
    kill,
    rolling_restart,
)
from fixtures.postgres import stored


@pytest.mark.headline
@experiment(
    hypothesis="When an app replica dies with answers in it that nobody received, clients notice nothing, "
    "and no turn is executed twice.",
    runbook="app-replica-down",
    objectives=Objectives(availability={"chat": 1.0, "session": 1.0}, interrupted=0, lost=0, duplicate=0),
    control=(
        Control(variant="no-redispatch", breaks="availability"),
        Control(variant="key-ignored", breaks="duplicate"),
    ),
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_replica_killed(drill: Drill) -> None:
    with drill.inject(edge_timeout("front", "app-1", direction="downstream")):
        since = time.monotonic()
        # Two chats or so are stored there by then, and no client has given up: the shortest deadline is 2 s.
        drill.hold("1s")
        drill.inject(kill("app-1"))
        drill.hold("500ms")
    drill.observe(limit="20s")
    held_back = stored(drill.stack, "app-1", time.monotonic() - since)
    drill.premise("app-1 had stored turns whose answers nobody received", held_back > 0)


@experiment(
    hypothesis="A replica that freezes gets no more requests once its checks fail, and few chats wait in "
    "vain.",
    runbook="app-replica-down",
    # Two checks of a second each find it out; of 20 s that costs a third of the chats of some 4 s.
    objectives=Objectives(availability={"chat": 0.79, "session": 0.79}, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
)
def test_replica_frozen(drill: Drill) -> None:
    with drill.inject(freeze("app-1")):
        drill.hold("20s")


@experiment(
    hypothesis="One replica of three carries the load, and clients hardly notice that two are gone.",
    runbook="app-replica-down",
    objectives=Objectives(availability={"chat": 0.95, "session": 0.95}, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_two_replicas_killed(drill: Drill) -> None:
    with drill.inject(kill("app-1")), drill.inject(kill("app-2")):
        drill.hold("15s")


@experiment(
    hypothesis="Replicas that are restarted one by one are drained first: no request fails.",
    runbook="app-replica-down",
    objectives=Objectives(availability={"chat": 1.0, "session": 1.0}, interrupted=0, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
    blast_radius=BlastRadius(instances=3, zones=3),
)
def test_rolling_restart(drill: Drill) -> None:
    drill.inject(rolling_restart("app"))
    drill.observe(limit="20s")
