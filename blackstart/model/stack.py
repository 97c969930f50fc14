"""A stack as data: images, instances, their zones and edges, the conditions of steady state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from blackstart.model.errors import ConfigError

#: Sizes of disks, as the kernel reads them.
_SIZE = re.compile(r"[1-9]\d*[kmg]")


@dataclass(frozen=True)
class Image:
    """An image built from a folder that holds a Dockerfile; its tag is the hash of that folder."""

    name: str
    context: Path
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Edge:
    """That instance `source` calls instance `upstream` on `port`; its own Toxiproxy proxy carries it.

    `listen` is the loopback address in the caller's network namespace, as `127.0.1.3`.
    """

    source: str
    upstream: str
    port: int
    listen: str

    @property
    def name(self) -> str:
        """The name of the Toxiproxy proxy: `pg-1:5432`, unique within the caller's sidecar."""
        return f"{self.upstream}:{self.port}"

    @property
    def proxy(self) -> dict[str, str]:
        """The proxy as Toxiproxy is told of it. It dials the alias, which no hosts file redirects."""
        return {
            "name": self.name,
            "listen": f"{self.listen}:{self.port}",
            "upstream": f"{self.upstream}.net:{self.port}",
        }

    def __str__(self) -> str:
        return f"{self.source} -> {self.upstream}:{self.port}"


@dataclass(frozen=True)
class Instance:
    """One pod: a Toxiproxy sidecar that owns the network namespace, and the service that joins it.

    `ports` maps names to container ports; those in `publish` are reachable from the host on 127.0.0.1.
    `calls` names the instances it calls: each is reached by its plain name, through this pod's sidecar.
    `plays` names the parts that it plays for faults: `postgres`, `redis`, `llm` (which takes scripts).
    `ready` is a condition from `blackstart.stack.conditions`; None means running is ready.
    `disks` maps paths in the service's container to sizes, as `{"/data": "64m"}`: each is a file system of
    that size, held in memory, which lives as long as the stack. Without one the service writes where its
    container does, and no disk of its can be full.
    """

    name: str
    service: str
    image: Image
    ports: Mapping[str, int]
    zone: str = "a"
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    ready: Any = None
    plays: tuple[str, ...] = ()
    memory: str = "512m"
    disks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A deliberately weakened stack for negative controls, or another mode to run in.

    `apply` and `revert` take the running stack; each must be idempotent and return only once in force.
    `faults` are injected `lead` before the experiment's own, and belong to the weakening, not to the
    hypothesis: they are recorded, but the episode that is measured begins with the experiment's fault.
    `steady` says whether the weakened stack can reach its steady state at all.
    """

    name: str
    description: str
    apply: Any = None
    revert: Any = None
    faults: tuple[Any, ...] = ()
    lead: str = "0s"
    steady: bool = True


@dataclass(frozen=True)
class Stack:
    """A system under test.

    `roles` maps a service to a role resolver (`blackstart.observe`); `steady` holds named conditions;
    `sources` are event sources; `load` is what the open-loop client does (`blackstart.load.LoadPlan`
    factory taking the running stack); `reset` runs between drills; `secrets` are redacted in reports.
    `given` takes a run's id and says, by instance, which variables that run gives beyond those declared:
    what is made anew for each, as certificates. It is asked again when a service is started anew.
    The first fault of a drill strikes at a random moment of `detector_period`, the slowest detector's.
    `quorum` says of how many members a service must have left (1 where it is not named).
    """

    name: str
    sidecar: Image
    instances: tuple[Instance, ...]
    roles: Mapping[str, Any] = field(default_factory=dict)
    steady: tuple[Any, ...] = ()
    sources: tuple[Any, ...] = ()
    load: Any = None
    reset: Any = None
    configuration: Any = None
    given: Any = None
    variants: tuple[Variant, ...] = ()
    secrets: tuple[str, ...] = ()
    detector_period: str = "2s"
    quorum: Mapping[str, int] = field(default_factory=dict)
    memory_mib: int = 1024
    disk_mib: int = 4096

    def __post_init__(self) -> None:
        names = [i.name for i in self.instances]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ConfigError(f"stack {self.name!r}: instance names used twice: {', '.join(sorted(twice))}")
        for instance in self.instances:
            for upstream in instance.calls:
                if upstream not in names:
                    raise ConfigError(
                        f"{instance.name} calls unknown instance {upstream!r}; known: {', '.join(names)}"
                    )
            for path, size in instance.disks.items():
                if not path.startswith("/") or not _SIZE.fullmatch(size):
                    raise ConfigError(
                        f"{instance.name}: disk {path!r} of size {size!r}: write an absolute path, "
                        "and a number with k, m or g"
                    )
            for port in instance.publish:
                if port not in instance.ports:
                    raise ConfigError(
                        f"{instance.name} publishes unknown port {port!r}; known: {', '.join(instance.ports)}"
                    )

        for service in self.quorum:
            self.of(service)

    @cached_property
    def by_name(self) -> Mapping[str, Instance]:
        """Instances by name."""
        return {i.name: i for i in self.instances}

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Service names in order of declaration."""
        return tuple(dict.fromkeys(i.service for i in self.instances))

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge: one per caller, upstream and upstream port."""
        return tuple(
            Edge(i.name, upstream, port, f"127.0.1.{n}")
            for i in self.instances
            for n, upstream in enumerate(i.calls, start=1)
            for port in self.instance(upstream).ports.values()
        )

    def instance(self, name: str) -> Instance:
        """The instance called `name`; ConfigError names the valid ones."""
        try:
            return self.by_name[name]
        except KeyError:
            raise ConfigError(f"unknown instance {name!r}; known: {', '.join(self.by_name)}") from None

    def of(self, service: str) -> tuple[Instance, ...]:
        """The instances of `service`; ConfigError names the valid ones."""
        found = tuple(i for i in self.instances if i.service == service)
        if not found:
            raise ConfigError(f"unknown service {service!r}; known: {', '.join(self.services)}")
        return found

    def images(self) -> tuple[Image, ...]:
        """The images to build, each once, the sidecar first."""
        return tuple({i.name: i for i in (self.sidecar, *(x.image for x in self.instances))}.values())

    def variant(self, name: str) -> Variant:
        """The variant called `name`; ConfigError names the valid ones."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = ", ".join(v.name for v in self.variants) or "none"
        raise ConfigError(f"unknown variant {name!r}; known: {known}")

    def with_instances(self, *instances: Instance) -> Stack:
        """A copy in which the instances of the same names are replaced."""
        new = {i.name: i for i in instances}
        return replace(self, instances=tuple(new.get(i.name, i) for i in self.instances))
