"""The edges of a running stack: made before the services start, made whole again after a drill."""

from __future__ import annotations

from blackstart.model.errors import ToxiproxyError
from blackstart.platforms.waiting import wait_for
from blackstart.stack.running import RunningStack


def populate(running: RunningStack, instance: str, *, limit: float = 15.0) -> None:
    """Make every edge of `instance` in its sidecar, once that answers within `limit` seconds.

    Raises ProvisionError with the sidecar's last log lines.
    """
    proxies = [e.proxy for e in running.stack.edges if e.source == instance]
    client = running.toxiproxy(instance)
    sidecar = running.sidecar(instance)
    wait_for(
        f"the edges of {instance}",
        lambda: client.populate(proxies) is not None or None,
        limit=limit,
        every=0.05,
        last=lambda: running.platform.logs(sidecar, tail=10),
    )


def restore(running: RunningStack, instance: str) -> list[str]:
    """Make every edge of `instance` as new: there, enabled, without toxics. Returns those that were not.

    A proxy that cannot be cleaned is made anew. Raises ToxiproxyError if even that fails.
    """
    client = running.toxiproxy(instance)
    seen = client.proxies()
    wrong = []
    for edge in running.stack.edges:
        if edge.source != instance:
            continue
        proxy = seen.get(edge.name)
        wanted = edge.proxy["upstream"]
        if proxy is not None and proxy.enabled and proxy.upstream == wanted and not proxy.toxics():
            continue
        wrong.append(edge)
    if wrong:
        try:
            client.reset()
        except ToxiproxyError:
            # Removing a toxic can hang in the server; a new proxy has none.
            for edge in wrong:
                if edge.name in client.proxies():
                    client.proxy(edge.name).destroy()
        populate(running, instance)
    return [str(edge) for edge in wrong]
