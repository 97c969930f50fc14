"""What a person would look at to say whether a stack is as it was: seen from outside, knowing no fault."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from blackstart.model.errors import PlatformError
from blackstart.platforms.capabilities import Container
from blackstart.stack.running import RunningStack

_LIMITS = ("NanoCpus", "CpuShares", "Memory", "MemorySwap", "PidsLimit")
# In a sidecar: rules and queues of its network namespace, processes; counters and handles left out.
_SIDECAR = r"""
nft list ruleset 2>/dev/null | sed -E 's/packets [0-9]+ bytes [0-9]+//'
echo; tc qdisc show 2>/dev/null; echo; ip -br address; ip route; echo; cat /etc/hosts /etc/resolv.conf
echo; iptables-save 2>/dev/null | grep -v '^[#:]'
"""
# What a sidecar that is started anew has others of: addresses, its interface's number, ports of Docker's DNS.
_OF_ONE_LIFE = re.compile(r"\b(?:172|10|192)(?:\.\d+){3}\b|(?<=@if)\d+|(?<=sport )\d+")


def snapshot(small: RunningStack) -> dict[str, Any]:
    """By container: state, limits, processes by name; by instance: edges and the namespace's rules."""
    with ThreadPoolExecutor(8) as pool:
        # One after the other: each would see the other's processes.
        containers = list(pool.map(partial(_container, small), small.platform.list(small.run_id)))
        instances = pool.map(partial(_instance, small), (i.name for i in small.stack.instances))
        return dict([*containers, *instances])


def difference(before: dict[str, Any], small: RunningStack) -> str | None:
    """What is not as it was before; None if everything is."""
    try:
        now = snapshot(small)
    except PlatformError as error:
        return str(error)
    wrong = [
        f"{name}: {before.get(name)} is now {now.get(name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    return "\n".join(wrong) or None


def _container(small: RunningStack, container: Container) -> tuple[str, dict[str, Any]]:
    told = small.platform.inspect(container.name)
    return container.name, {
        "state": told["State"]["Status"],
        "limits": {k: told["HostConfig"].get(k) for k in _LIMITS},
        # Docker has two ways to say that there is no quota, and no way back to the first.
        "cpus": small.platform.cpu_limit(container.name),
        "processes": _processes(small, container.name) if container.status == "running" else {},
    }


def _instance(small: RunningStack, name: str) -> tuple[str, dict[str, Any]]:
    shown = small.platform.exec(small.sidecar(name), ["sh", "-c", _SIDECAR]).output
    proxies = small.toxiproxy(name).proxies()
    return f"pod {name}", {
        "edges": {n: (p.enabled, p.listen, p.upstream, sorted(p.toxics())) for n, p in proxies.items()},
        "network": _OF_ONE_LIFE.sub("_", shown),
    }


def _processes(small: RunningStack, name: str) -> dict[str, int]:
    listed = small.platform.exec(name, ["ps", "-eo", "comm="]).output.split()
    # What looks from inside is no part of it: this command, and another that is only just starting.
    return dict(Counter(c for c in listed if c not in ("timeout", "ps") and not c.startswith("runc:")))
