"""More comes to the front than can be served: from all, from one user, or since a provider is slow."""

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    experiment,
    kill,
    llm_slow_first_token,
)
from fixtures.users import counted_together, pester
from sut.load import RATES

#: What a provider takes for an answer, and a turn with it, as long as no call of a model is given up.
SLOW, TURN_S = "900ms", 1.1
#: Two replicas work on three turns each: chats a second, which leave the machine's processors room.
CAPACITY = 2 * 3 / TURN_S
#: Of 26 s of slowness 12 s are a peak: four fifths of the capacity. In the others all who come are answered.
GOODPUT = (0.8 * 12 * CAPACITY + 14 * RATES["chat"]) / 26
# What the machine spends on the other kinds would be missing from the peak.
FEW_OTHERS = {"session": 2.0, "sql-write": 20.0}
PROVIDERS = BlastRadius(instances=2, zones=3)


@experiment(
    hypothesis="At three times the load that a missing replica and slow providers leave room for, as much is "
    "answered as ever could be, and in time; once the crowd is gone everybody is served, though all else is "
    "as before.",
    runbook="overload",
    # The service ends a request after 4.3 s by itself: a bound beyond that would bound nothing.
    objectives=Objectives(goodput={"chat": GOODPUT}, p99={"chat": "3.5s"}, rto="23s", lost=0, duplicate=0),
    control=Control(variant="no-shedding", breaks="goodput"),
    blast_radius=PROVIDERS,
    load=FEW_OTHERS,
)
def test_overload(drill: Drill) -> None:
    with drill.inject(kill("app-3")), drill.inject(llm_slow_first_token("llm", delay=SLOW, endpoint="chat")):
        drill.hold("2s")
        with drill.peak(chat=3 * CAPACITY):
            drill.hold("12s")
        drill.hold("10s")


@experiment(
    hypothesis="A slow provider holds two turns of a replica: the others are answered elsewhere.",
    runbook="overload",
    objectives=Objectives(availability={"chat": 0.95}, mode=["fallback-model"], lost=0, duplicate=0),
    control=Control(variant="no-bulkhead", breaks="availability"),
    blast_radius=PROVIDERS,
    load=FEW_OTHERS,
)
def test_slow_provider(drill: Drill) -> None:
    # If all turns waited for the slow one, 5.5 chats a second could be answered; with two waiting and one
    # that asks elsewhere, after a tenth of a second at the bulkhead, it is 12.
    with (
        drill.inject(kill("app-3")),
        drill.inject(llm_slow_first_token("llm-1", delay=SLOW, endpoint="chat")),
        drill.peak(chat=7.5),
    ):
        drill.hold("20s")


@experiment(
    hypothesis="A user who asks far too often is told to wait and how long, also while Redis does not count, "
    "and others are served.",
    runbook="overload",
    objectives=Objectives(
        wrong_answers=0,
        # Of 30 chats, while the noise takes most of a processor.
        availability={"chat": 0.9, "session": 0.9},
        mode=["no-cache", "local-rate-limit"],
        lost=0,
        duplicate=0,
    ),
    control=Control(variant="no-rate-limit", breaks="wrong_answers"),
    blast_radius=PROVIDERS,
)
def test_noisy_user(drill: Drill) -> None:
    with drill.inject(kill("redis", allow_total_loss=True)):
        alone = pester(drill.stack, "noisy")
    # Another user, whose allowance is whole, once the replicas count together again.
    drill.observe(limit="20s")
    together = counted_together(drill.stack)
    drill.count("wrong_answers", alone + pester(drill.stack, "noisier"))
    drill.premise("the replicas counted together again", together)
