"""Drills of the small project; the file's name keeps them out of the ordinary collection."""

from blackstart import Control, Drill, Objectives, experiment, freeze, kill

FORGETS = Control(variant="no-persistence", breaks="lost")


@experiment(
    hypothesis="When the store is killed and started again, no acknowledged write is lost.",
    runbook="store-down",
    objectives=Objectives(rto="20s", lost=0),
    control=FORGETS,
)
def test_store_killed(drill: Drill) -> None:
    drill.inject(kill("store-1", allow_total_loss=True))
    drill.observe(limit="1s")


@experiment(
    hypothesis="A store that is frozen for a second is not noticed at all (which is false).",
    runbook="store-down",
    objectives=Objectives(rto="1ms", lost=0),
    control=FORGETS,
)
def test_store_frozen(drill: Drill) -> None:
    with drill.inject(freeze("store-1", allow_total_loss=True)):
        drill.observe(limit="2s")


@experiment(
    hypothesis="Held in force long enough to be interrupted.",
    runbook="store-down",
    objectives=Objectives(lost=0),
    control=FORGETS,
)
def test_store_held(drill: Drill) -> None:
    drill.inject(freeze("store-1", allow_total_loss=True))
    drill.observe(limit="60s")


@experiment(
    hypothesis="Held in force for a few seconds, in which the engine may go away.",
    runbook="store-down",
    objectives=Objectives(lost=0),
    control=FORGETS,
)
def test_store_held_briefly(drill: Drill) -> None:
    drill.inject(freeze("store-1", allow_total_loss=True))
    drill.observe(limit="3s")


@experiment(
    hypothesis="A drill that forgets to inject proves nothing.",
    runbook="store-down",
    objectives=Objectives(rto="20s", lost=0),
    control=FORGETS,
)
def test_store_spared(drill: Drill) -> None:
    drill.observe(limit="1s")
