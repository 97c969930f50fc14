"""A replica of the app dies."""

import time

import pytest

from blackstart import Control, Drill, Objectives, edge_timeout, experiment, kill
from fixtures.postgres import stored

pytestmark = pytest.mark.headline


@experiment(
    hypothesis="When an app replica dies with answers in it that nobody received, clients notice nothing, "
    "and no turn is executed twice.",
    runbook="app-replica-down",
    objectives=Objectives(availability={"chat": 1.0, "session": 1.0}, interrupted=0, lost=0, duplicate=0),
    control=(
        Control(variant="no-redispatch", breaks="availability"),
        Control(variant="key-ignored", breaks="duplicate"),
    ),
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
