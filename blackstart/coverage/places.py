"""Where a stack can fail: its components and the edges between its services, and who depends on each."""

from __future__ import annotations

from dataclasses import dataclass

from blackstart.model.selector import Selector
from blackstart.model.stack import Stack


@dataclass(frozen=True)
class Place:
    """A row of the map: a component (`postgres.primary`, `app`), or an edge (`app → redis`).

    `ends` are selectors: one for a component, the caller's and the upstream's service for an edge.
    `dependents` are the instances that call it, or call one that does, and so on; of an edge, its callers and
    theirs. `clients` says that the clients of the stack are behind them. `instances` is how many share the
    work: of the service, or of the calling service.
    """

    name: str
    ends: tuple[str, ...]
    dependents: tuple[str, ...]
    clients: bool
    instances: int

    @property
    def is_edge(self) -> bool:
        """Whether it lies between two services."""
        return len(self.ends) == 2


def places(stack: Stack) -> tuple[Place, ...]:
    """The components in order of declaration, then the edges, by caller."""
    entries = _entries(stack)
    found = []
    for service in stack.services:
        own = {i.name for i in stack.of(service)}
        behind = _with_callers(stack, own)
        for name in _roles(stack, service):
            found.append(Place(name, (name,), _sorted(stack, behind - own), bool(behind & entries), len(own)))
    pairs = dict.fromkeys(
        (stack.instance(e.source).service, stack.instance(e.upstream).service) for e in stack.edges
    )
    for source, upstream in pairs:
        callers = {
            i.name for i in stack.of(source) if any(stack.instance(c).service == upstream for c in i.calls)
        }
        behind = _with_callers(stack, callers)
        name = f"{source} → {upstream}"
        found.append(
            Place(name, (source, upstream), _sorted(stack, behind), bool(behind & entries), len(callers))
        )
    return tuple(found)


def struck(stack: Stack, ends: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The places, by their `ends`, that a fault on these selectors strikes; empty where that cannot be told.

    A service that has roles is struck in each of them. An instance of such a service strikes none for
    certain: which role it has is known on a running stack only. ConfigError for what the stack lacks.
    """
    selectors = [Selector.parse(end) for end in ends]
    services = tuple(_service(stack, selector.name) for selector in selectors)
    if len(ends) > 1:
        return (services,)
    if role := selectors[0].role:
        return ((f"{services[0]}.{role}",),)
    if services[0] in stack.roles and selectors[0].name in stack.by_name:
        return ()
    return tuple((name,) for name in _roles(stack, services[0]))


def _roles(stack: Stack, service: str) -> list[str]:
    resolver = stack.roles.get(service)
    return [f"{service}.{role}" for role in resolver.roles] if resolver is not None else [service]


def _service(stack: Stack, name: str) -> str:
    if name in stack.by_name:
        return stack.by_name[name].service
    return stack.of(name)[0].service


def _entries(stack: Stack) -> set[str]:
    """Where clients come in: what publishes a port and is called by no other."""
    called = {upstream for i in stack.instances for upstream in i.calls}
    return {i.name for i in stack.instances if i.publish and i.name not in called}


def _with_callers(stack: Stack, names: set[str]) -> set[str]:
    """These, and all that call one of them directly or through others."""
    reached = set(names)
    while more := {i.name for i in stack.instances if i.name not in reached and reached & set(i.calls)}:
        reached |= more
    return reached


def _sorted(stack: Stack, names: set[str]) -> tuple[str, ...]:
    return tuple(i.name for i in stack.instances if i.name in names)
