"""A region is lost and the other one serves; later the first serves again. By the runbooks' own steps."""

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    edge_latency,
    experiment,
    instances_lost,
    node_kill,
)
from fixtures.region import LONG, reconnected, served_by_second
from sut.region import settings

#: The second region is not waited for. What it may lack is what was under way, and what one machine with two
#: cores makes of that when it is busy.
UNDER_WAY = "5s"
#: What `region-lost` has people do, in this order.
GIVEN_UP = ("find", "alerted", "confirm-lost", "fence", "promote", "serve", "verify")
#: What is in no region, or in the second one.
ELSEWHERE = ",".join((*settings.OUTSIDE, *settings.SECOND))


@experiment(
    stack="region",
    hypothesis="When the first region has lost its database for good, the second serves within a minute, has "
    "lost no more than a few seconds, and nothing of the first comes back as a second primary.",
    runbook="region-lost",
    objectives=Objectives(rto="60s", rpo=UNDER_WAY, gives_up=["lost"], duplicate=0, split_brain=0),
    control=Control(variant="second-region-cut-off", breaks="rpo"),
    expects_alert="PostgresNoPrimary",
    # The link that the control cuts is a fault as well, in the second region's zone.
    blast_radius=BlastRadius(instances=2, zones=3),
)
def test_region_lost(drill: Drill) -> None:
    drill.inject(instances_lost("postgres", allow_total_loss=True, max_duration=LONG))
    drill.follow("region-lost", *GIVEN_UP)
    # Nobody follows the second region now. It is copied while clients go on.
    drill.follow("region-failback", "find", "provision", "copy")
    drill.observe(limit="60s")


@experiment(
    stack="region",
    hypothesis="When all is lost that the first region had, its applications, caches and store too, the "
    "second serves within a minute and a half, has lost no more than a few seconds, and the first is made "
    "anew as its standby.",
    runbook="region-lost",
    # The second serves after some eight: its one replica then shares two cores with a region that starts.
    objectives=Objectives(rto="90s", rpo=UNDER_WAY, gives_up=["lost"], duplicate=0, split_brain=0),
    control=Control(variant="second-region-cut-off", breaks="rpo"),
    expects_alert="PostgresNoPrimary",
    blast_radius=BlastRadius(instances=3, zones=4),
)
def test_whole_region_lost(drill: Drill) -> None:
    drill.inject(instances_lost("all", spared=ELSEWHERE, allow_total_loss=True, max_duration=LONG))
    drill.follow("region-lost", *GIVEN_UP)
    drill.follow("region-failback", "find", "provision", "copy")
    drill.observe(limit="60s")


@experiment(
    stack="region",
    hypothesis="When the region that was given up comes back with all that it had, it follows the one that "
    "serves now: no client ever has a write acknowledged by a second primary.",
    runbook="region-lost",
    objectives=Objectives(rpo=UNDER_WAY, gives_up=["lost"], duplicate=0, split_brain=0),
    control=Control(variant="no-fence", breaks="split_brain"),
    expects_alert="PostgresNoPrimary",
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_region_back(drill: Drill) -> None:
    with drill.inject(node_kill("postgres", allow_total_loss=True, max_duration=LONG)):
        drill.follow("region-lost", *GIVEN_UP)
    # Longer than the lease of whoever led: by then a node may be primary if nothing forbids it.
    drill.hold("30s")
    reconnected(drill.stack)
    drill.observe(limit="60s")


@experiment(
    stack="region",
    hypothesis="When the first region takes over again, clients stop for seconds, and nothing that was "
    "acknowledged is lost, though the second follows it over a slow link.",
    runbook="region-failback",
    objectives=Objectives(rto="30s", lost=0, duplicate=0, split_brain=0),
    control=Control(variant="switch-without-flush", breaks="lost"),
    blast_radius=BlastRadius(instances=2, zones=3),
    prepare=served_by_second,
)
def test_region_failback(drill: Drill) -> None:
    slow = edge_latency(
        settings.POSTGRES,
        settings.FIRST_PROXY,
        settings.PRIMARY_PORT,
        latency="100ms",
        direction="downstream",
        max_duration=LONG,
    )
    # From here on the switch is measured.
    drill.inject(slow)
    steps = ("find", "leader", "stop", "flush", "demote", "promote", "serve", "verify")
    drill.follow("region-failback", *steps)
    drill.observe(limit="60s")
