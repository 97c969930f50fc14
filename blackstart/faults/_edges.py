"""What the faults on edges share: which edges, and how to reach their proxies from the record alone."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults import _pods
from blackstart.faults.base import Fault, Platform, Site, Undo, fresh_id
from blackstart.model.errors import ConfigError, HarnessError, InjectionError, PlatformError
from blackstart.model.modes import Mode
from blackstart.model.selector import Selector
from blackstart.model.stack import Edge, Stack
from blackstart.toxiproxy.client import PROXY_API_PORT, EdgeProxy, ToxiproxyClient

#: Method, path and body of a request to Toxiproxy's API.
Request = tuple[str, str, str]

# Asks the Toxiproxy of its own sidecar: port, method, path, body. For use in a process of its own.
REQUESTS = r"""
ask() {
  exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
  printf '%s %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' "$2" "$3" "${#4}" "$4" >&3; cat <&3
}
"""
# Sends requests, all at once: one that hangs holds up no other.
_SEND = (
    REQUESTS
    + r"""
port=$1; shift
while [ $# -gt 0 ]; do ask "$port" "$1" "$2" "$3" & shift 3; done; wait
"""
)


@dataclass(frozen=True)
class EdgeFault(Fault):
    """A fault on the edges from `target` to `upstream`, on upstream port `port` or, where None, on all."""

    mode: ClassVar[Mode] = Mode.CUT
    ends: ClassVar[tuple[str, ...]] = ("target", "upstream")
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    grace: ClassVar[float] = 4.0
    expires_in_place: ClassVar[bool] = True

    target: str
    upstream: str
    port: int | None = None

    def validate(self, stack: Stack) -> None:
        """ConfigError names the edges there are if none fits."""
        super().validate(stack)
        ends = Selector.parse(self.target), Selector.parse(self.upstream)
        # Roles are not known before the fault strikes: here every instance of the service may hold it.
        self._fitting(
            stack, *({i.name for i in stack.instances if e.name in (i.name, i.service)} for e in ends)
        )

    def plan(self, site: Site) -> Undo:
        """The edges as they are now; InjectionError if one is down or carries a toxic already."""
        sources = {i.name for i in site.resolve(self.target)}
        upstreams = {i.name for i in site.resolve(self.upstream)}
        edges = []
        fitting = self._fitting(site.stack, sources, upstreams)
        for edge in fitting:
            api = site.proxy_api(edge.source)
            proxy = ToxiproxyClient(api).proxy(edge.name)
            if not proxy.enabled or proxy.toxics():
                raise InjectionError(f"edge {edge} is down or disturbed already")
            edges.append(
                {
                    "edge": str(edge),
                    "sidecar": site.sidecar(edge.source),
                    "api": api,
                    "proxy": edge.proxy,
                }
            )
        targets = tuple(dict.fromkeys(str(e["sidecar"]) for e in edges))
        id = fresh_id()
        pods = [_pods.pod_of(site, source) for source in dict.fromkeys(e.source for e in fitting)]
        data = {"edges": edges, "pods": pods, **self.details(id)}
        return Undo(self.kind, site.run_id, targets, data, self.by_hand(data), self.expiry(data), id)

    def details(self, id: str) -> dict[str, Any]:
        """What else the undo of this fault must know; `id` is the injection's."""
        return {}

    def by_hand(self, data: Mapping[str, Any]) -> str:
        """What a person can run instead of the undo."""
        return "; ".join(
            f"curl -X POST {api}/reset" for api in dict.fromkeys(e["api"] for e in data["edges"])
        )

    @abstractmethod
    def restoring(self, proxy: str, data: Mapping[str, Any]) -> list[Request]:
        """What takes the fault off the proxy of that name, for the helper in its sidecar."""

    def expiry(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        """By sidecar, what takes the fault off its edges from inside: see Undo."""
        commands: dict[str, list[str]] = {}
        for edge in data["edges"]:
            command = commands.setdefault(
                edge["sidecar"], ["bash", "-c", _SEND, "expiry", str(PROXY_API_PORT)]
            )
            for request in self.restoring(edge["proxy"]["name"], data):
                command.extend(request)
        return commands

    def _fitting(self, stack: Stack, sources: set[str], upstreams: set[str]) -> list[Edge]:
        between = [e for e in stack.edges if e.source in sources and e.upstream in upstreams]
        found = [e for e in between if self.port in (None, e.port)]
        if found:
            return found
        at = f" on port {self.port}" if self.port is not None else ""
        known = between or [e for e in stack.edges if e.source in sources]
        raise ConfigError(
            f"no edge from {self.target!r} to {self.upstream!r}{at}; "
            f"edges from there: {', '.join(map(str, known)) or 'none'}"
        )

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Take the fault off every edge.

        One that cannot be reached holds up no other; PlatformError in the end.
        """

        def restore(client: ToxiproxyClient, edge: Mapping[str, Any]) -> None:
            proxy = client.get_proxy(edge["proxy"]["name"])
            if proxy is None:
                client.populate([edge["proxy"]])
            else:
                cls.restore(proxy, undo)

        if failed := _failures(undo, platform, restore):
            raise PlatformError("; ".join(error for _, error in failed))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        for edge in undo.data["edges"]:
            proxy = client_of(edge, platform).get_proxy(edge["proxy"]["name"])
            if proxy is None:
                return f"edge {edge['edge']} has no proxy"
            if wrong := cls.wrong(proxy, undo):
                return f"edge {edge['edge']} {wrong}"
        return None

    @classmethod
    def escalate(cls, undo: Undo, platform: Platform) -> None:
        """Make the proxies anew; where Toxiproxy does not even do that, start the pods anew."""

        def renew(client: ToxiproxyClient, edge: Mapping[str, Any]) -> None:
            proxy = client.get_proxy(edge["proxy"]["name"])
            if proxy is not None and cls.wrong(proxy, undo):
                proxy.destroy()
            client.populate([edge["proxy"]])

        hopeless = {edge["sidecar"] for edge, _ in _failures(undo, platform, renew)}
        for pod in undo.data["pods"]:
            if pod["sidecar"] in hopeless:
                _pods.renew(pod, platform)

    @classmethod
    @abstractmethod
    def restore(cls, proxy: EdgeProxy, undo: Undo) -> None:
        """Take the fault off this proxy; idempotent."""

    @classmethod
    @abstractmethod
    def wrong(cls, proxy: EdgeProxy, undo: Undo) -> str | None:
        """What of the fault is still seen on this proxy; None if nothing."""


def client_of(edge: Mapping[str, Any], platform: Platform) -> ToxiproxyClient:
    """The Toxiproxy of a recorded edge, at the port where its sidecar publishes it now."""
    port = platform.bindings(edge["sidecar"]).get(PROXY_API_PORT)
    return ToxiproxyClient(f"http://127.0.0.1:{port}" if port else edge["api"])


Act = Callable[[ToxiproxyClient, Mapping[str, Any]], None]


def _failures(undo: Undo, platform: Platform, act: Act) -> list[tuple[Mapping[str, Any], str]]:
    """`act` on every recorded edge at once: a server that hangs costs one timeout, not one an edge.

    Returns the edges where it failed, and why.
    """

    def attempt(edge: Mapping[str, Any]) -> str | None:
        try:
            act(client_of(edge, platform), edge)
        except HarnessError as error:
            return f"edge {edge['edge']}: {error}"
        return None

    edges = undo.data["edges"]
    with ThreadPoolExecutor(min(16, len(edges)), thread_name_prefix="edges") as pool:
        errors = list(pool.map(attempt, edges))
    return [(edge, error) for edge, error in zip(edges, errors, strict=True) if error is not None]


def proxies(site: Site, undo: Undo) -> list[tuple[Mapping[str, Any], EdgeProxy]]:
    """Each recorded edge with its proxy as it is now."""
    return [(e, client_of(e, site.platform).proxy(e["proxy"]["name"])) for e in undo.data["edges"]]


def shown(attributes: Mapping[str, Any]) -> str:
    """Attributes of a toxic in words."""
    return json.dumps(dict(attributes), sort_keys=True)
