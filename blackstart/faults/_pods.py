"""A pod as a fault's record holds it, and how to have one running again from that alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blackstart.faults.base import Platform, Site
from blackstart.model.errors import PlatformError, ToxiproxyError
from blackstart.platforms.waiting import wait_for
from blackstart.toxiproxy.client import PROXY_API_PORT, ToxiproxyClient

#: Seconds until the Toxiproxy of a sidecar that was started must answer.
READY_S = 10.0


def pod_of(site: Site, instance: str) -> dict[str, Any]:
    """What is needed to have the pod of `instance` running again: its containers and its edges."""
    return {
        "sidecar": site.sidecar(instance),
        "service": site.container(instance),
        "proxies": [e.proxy for e in site.stack.edges if e.source == instance],
    }


def revive(pod: Mapping[str, Any], platform: Platform) -> None:
    """Have both containers running, every edge there, the service in its sidecar's network; idempotent.

    A service that still holds the network of its sidecar's former life is started anew.
    """
    sidecar, service = pod["sidecar"], pod["service"]
    if not platform.is_running(sidecar):
        platform.start(sidecar)
    _populate(pod, platform)
    if platform.is_running(service):
        if network(platform, service) == network(platform, sidecar):
            return
        platform.kill(service)
    platform.start(service)


def renew(pod: Mapping[str, Any], platform: Platform) -> None:
    """Kill the sidecar, whatever its state, and have the pod running again: service and edges are new."""
    platform.kill(pod["sidecar"])
    revive(pod, platform)


def amiss(pod: Mapping[str, Any], platform: Platform) -> str | None:
    """What keeps the pod from being whole; None if nothing."""
    sidecar, service = pod["sidecar"], pod["service"]
    for name in (sidecar, service):
        if not platform.is_running(name):
            return f"{name} is down"
    try:
        there = _client(sidecar, platform).proxies()
    except ToxiproxyError as error:
        return str(error)
    if lost := [p["name"] for p in pod["proxies"] if p["name"] not in there]:
        return f"{sidecar} lacks the edges to {', '.join(lost)}"
    if network(platform, service) != network(platform, sidecar):
        return f"{service} is in the network of its sidecar's former life"
    return None


def network(platform: Platform, name: str) -> str:
    """What tells the network namespace of a container from every other."""
    told = platform.exec(name, ["readlink", "/proc/self/ns/net"])
    if told.code != 0:
        raise PlatformError(f"{name}: cannot tell its network: {told.output.strip()}")
    return told.output.strip()


def _populate(pod: Mapping[str, Any], platform: Platform) -> None:
    wait_for(
        f"the edges of {pod['sidecar']}",
        lambda: _client(pod["sidecar"], platform).populate(pod["proxies"]) is not None or None,
        limit=READY_S,
        error=PlatformError,
    )


def _client(sidecar: str, platform: Platform) -> ToxiproxyClient:
    port = platform.bindings(sidecar).get(PROXY_API_PORT)
    if port is None:
        raise PlatformError(f"{sidecar} publishes no Toxiproxy")
    return ToxiproxyClient(f"http://127.0.0.1:{port}")
