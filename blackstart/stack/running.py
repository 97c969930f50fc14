"""A running stack: where its instances are, which roles they hold, and a way to talk to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blackstart.model.errors import ConfigError, InjectionError, ProvisionError
from blackstart.model.selector import Selector
from blackstart.model.stack import Instance, Stack
from blackstart.platforms.capabilities import ExecResult
from blackstart.toxiproxy.client import PROXY_API_PORT as PROXY_API_PORT
from blackstart.toxiproxy.client import ToxiproxyClient

if TYPE_CHECKING:
    # The declaration of a stack may name this class; a plan of its drills loads no Docker.
    from blackstart.platforms.docker import DockerPlatform


def fingerprint(stack: Stack, tags: Mapping[str, str]) -> str:
    """16 hex digits that tell whether two declarations give the same containers; `tags` by image name.

    The order of instances, ports, variables and published ports means nothing; that of calls gives each
    edge its address, that of a command's words its meaning.
    """
    instances = {
        i.name: {
            "service": i.service,
            "image": tags[i.image.name],
            "ports": dict(i.ports),
            "zone": i.zone,
            "command": i.command,
            "env": dict(i.env),
            "calls": i.calls,
            "publish": sorted(i.publish),
            "memory": i.memory,
            "disks": dict(i.disks),
        }
        for i in stack.instances
    }
    declared = {"sidecar": tags[stack.sidecar.name], "instances": instances}
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RunningStack:
    """A stack that is up. It holds no state but the host ports, which stay the same for life.

    `ports`: instance name -> container port -> port on 127.0.0.1.
    """

    stack: Stack
    run_id: str
    platform: DockerPlatform
    ports: Mapping[str, Mapping[int, int]]

    @classmethod
    def find(cls, stack: Stack, run_id: str, platform: DockerPlatform, *, lost: bool = False) -> RunningStack:
        """The stack of another process's run, from its containers' labels alone.

        Raises ProvisionError if one of its containers is not there, whatever the state of the others; with
        `lost`, the services' own may be gone.
        """
        found = {c.name for c in platform.list(run_id)}
        bare = cls(stack, run_id, platform, {})
        wanted = {i.name: (bare.sidecar(i.name), bare.container(i.name)) for i in stack.instances}
        needed = [name for pair in wanted.values() for name in (pair[:1] if lost else pair)]
        if any(i.disks for i in stack.instances):
            needed.append(bare.keeper)
        if missing := [name for name in needed if name not in found]:
            raise ProvisionError(
                f"run {run_id} of stack {stack.name!r} is not complete: no {', '.join(missing)}"
            )
        ports = {name: platform.bindings(sidecar) for name, (sidecar, _) in wanted.items()}
        return cls(stack, run_id, platform, ports)

    # -- places ----------------------------------------------------------------------------------

    def container(self, instance: str) -> str:
        """The name of the instance's service container."""
        return f"bs-{self.run_id}-{self.stack.instance(instance).name}"

    def sidecar(self, instance: str) -> str:
        """The name of the container that owns the instance's network namespace and edges."""
        return f"{self.container(instance)}-net"

    @property
    def keeper(self) -> str:
        """The name of the container that holds every disk of the run, each at `disk_place`."""
        return f"bs-{self.run_id}-disks"

    def address(self, instance: str, port: str) -> tuple[str, int]:
        """Host and port at which this process reaches a published port, by its name in the declaration.

        Raises ConfigError, naming the valid ones, if the instance does not publish such a port.
        """
        declared = self.stack.instance(instance)
        if port not in declared.publish:
            known = ", ".join(declared.publish) or "none"
            raise ConfigError(f"{instance} publishes no port {port!r}; it publishes: {known}")
        return "127.0.0.1", self.ports[instance][declared.ports[port]]

    def url(self, instance: str, port: str, path: str = "") -> str:
        """`http://host:port` of a published port, with `path` behind it."""
        host, number = self.address(instance, port)
        return f"http://{host}:{number}{path}"

    def proxy_api(self, instance: str) -> str:
        """The URL of the Toxiproxy API of the instance's sidecar."""
        return f"http://127.0.0.1:{self.ports[self.stack.instance(instance).name][PROXY_API_PORT]}"

    def toxiproxy(self, instance: str) -> ToxiproxyClient:
        """A client of the Toxiproxy of the instance's sidecar."""
        return ToxiproxyClient(self.proxy_api(instance))

    # -- roles -----------------------------------------------------------------------------------

    def role_map(self, service: str) -> dict[str, str]:
        """Role by instance now, those without one left out. ConfigError if the service has no roles."""
        self.stack.of(service)
        if service not in self.stack.roles:
            known = ", ".join(self.stack.roles) or "none"
            raise ConfigError(f"service {service!r} has no roles; services with roles: {known}")
        return dict(self.stack.roles[service].resolve(self, service))

    def resolve(self, selector: str | Selector) -> tuple[Instance, ...]:
        """The instances that a selector means at this moment; at least one.

        Raises ConfigError for unknown names, InjectionError if nothing holds the role now.
        """
        target = Selector.parse(selector) if isinstance(selector, str) else selector
        target.validate(self.stack)
        if target.name in self.stack.by_name:
            return (self.stack.instance(target.name),)
        instances = self.stack.of(target.name)
        if target.zone is not None:
            instances = tuple(i for i in instances if i.zone == target.zone)
        if target.role is not None:
            roles = self.role_map(target.name)
            instances = tuple(i for i in instances if roles.get(i.name) == target.role)
            if not instances:
                raise InjectionError(f"nothing is {selector} now; roles: {roles or 'none'}")
        return instances

    # -- inside ----------------------------------------------------------------------------------

    def exec(self, instance: str, cmd: Sequence[str], timeout: float = 10.0) -> ExecResult:
        """Run a command as root inside the instance; see `DockerPlatform.exec`."""
        return self.platform.exec(self.container(instance), cmd, timeout)
