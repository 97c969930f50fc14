"""The blast radius and the quorum guard, looked at in the moment of injection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blackstart.faults import Fault, Site, Undo
from blackstart.model.blast import BlastRadius
from blackstart.model.errors import HarnessError, InjectionError
from blackstart.model.stack import Instance, Stack
from blackstart.platforms.capabilities import Container


@dataclass(frozen=True)
class Touched:
    """Whom a fault touches: instances, each with its role as the fault strikes; whether it takes them out."""

    instances: tuple[tuple[Instance, str], ...]
    takes_out: bool


def touched(fault: Fault, plan: Undo, site: Site, containers: Iterable[Container]) -> Touched:
    """The instances behind the containers that the plan names."""
    names = {c.instance for c in containers if c.name in plan.targets}
    found = [i for i in site.stack.instances if i.name in names]
    roles: dict[str, str] = {}
    for service in {i.service for i in found} & set(site.stack.roles):
        try:
            roles |= site.role_map(service)
        except HarnessError:
            continue  # a component that is ill already tells no roles: then its service is bounded as a whole
    return Touched(tuple((i, roles.get(i.name, "")) for i in found), fault.takes_out_of(site.stack))


def refuse_beyond(radius: BlastRadius, now: Touched, in_force: Sequence[Touched]) -> None:
    """InjectionError if `now`, with what is in force, goes beyond the radius."""
    everything = [*in_force, now]
    if len(everything) > radius.faults:
        raise _beyond("faults", f"{len(everything)} faults in force together", radius.faults)
    zones = sorted({i.zone for each in everything for i, _ in each.instances})
    if len(zones) > radius.zones:
        raise _beyond("zones", f"zones {', '.join(zones)}", radius.zones)
    groups: dict[str, set[str]] = defaultdict(set)
    for each in everything:
        for instance, role in each.instances:
            groups[f"{instance.service}.{role}" if role else instance.service].add(instance.name)
    for group, names in groups.items():
        if len(names) > radius.instances:
            raise _beyond("instances", f"{group}: {', '.join(sorted(names))}", radius.instances)


def running(containers: Iterable[Container]) -> set[str]:
    """The instances of which every container runs."""
    parts: dict[str, set[str]] = defaultdict(set)
    for container in containers:
        parts[container.instance].add(container.status)
    return {name for name, states in parts.items() if states == {"running"}}


def refuse_total_loss(
    fault: Fault, now: Touched, in_force: Sequence[Touched], stack: Stack, running: set[str]
) -> None:
    """InjectionError if the fault takes the last healthy member of a service, or its quorum."""
    if not now.takes_out or fault.allow_total_loss:
        return
    out = {i.name for each in in_force if each.takes_out for i, _ in each.instances}
    going = {i.name for i, _ in now.instances}
    for service in {i.service for i, _ in now.instances}:
        members = ({i.name for i in stack.of(service)} & running) - out
        needed = stack.quorum.get(service, 1)
        # A quorum that is lost already cannot be lost again, the last member can.
        if len(members - going) < needed <= len(members) or (members and members <= going):
            left = ", ".join(sorted(members - going)) or "none"
            raise InjectionError(
                f"nothing injected: {fault.kind} of {', '.join(sorted(going))} would leave {left} of "
                f"{service} healthy, and it needs {needed}; say allow_total_loss=True if you mean that"
            )


def _beyond(bound: str, what: str, limit: int) -> InjectionError:
    return InjectionError(
        f"nothing injected: beyond the blast radius ({bound}={limit}): {what}; "
        f"a drill that means it declares blast_radius=BlastRadius({bound}=...)"
    )
