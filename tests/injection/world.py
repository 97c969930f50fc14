"""What a person would look at to say whether a stack is as it was: seen from outside, knowing no fault."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests

from blackstart.model.errors import PlatformError
from blackstart.platforms.capabilities import Container
from blackstart.platforms.waiting import wait_for
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
# Of each process its name, soft limit of open files and OOM score; no process is started to look.
_PROCESSES = r"""
for p in /proc/[0-9]*; do
  [ "$p" = "/proc/$$" ] && continue
  read -r comm <"$p/comm" && read -r score <"$p/oom_score_adj" || continue
  while read -r a b c soft _; do [ "$a $b $c" = "Max open files" ] && files=$soft; done <"$p/limits"
  echo "$comm, $files files, score $score"
done 2>/dev/null
"""
# What tells the time, if it does; and the files on the disks, which are no part of a container's own.
_FILES = "cat /run/clock 2>/dev/null || echo +0; find /disks -type f 2>/dev/null"
#: Where services themselves make files and remove them, or looked at by content.
_OWN = re.compile(r"/(data|archive|run/postgresql|run/clock|var/lib/redis)\b")
# The settings of a Postgres and who may log in until when.
_POSTGRES = """
SELECT name, setting FROM pg_settings WHERE source <> 'default' ORDER BY 1;
SELECT rolname, coalesce(rolvaliduntil, 'infinity') FROM pg_roles ORDER BY 1
"""


def snapshot(small: RunningStack) -> dict[str, Any]:
    """By container: state, limits, files, processes by name with their limits; by instance: edges, the
    namespace's rules, and what a database or a provider says of itself.
    """
    return wait_for("a whole look", lambda: _look(small), limit=20)


def _look(small: RunningStack) -> dict[str, Any]:
    with ThreadPoolExecutor(8) as pool:
        # One after the other: each would see the other's processes.
        containers = list(pool.map(partial(_container, small), small.platform.list(small.run_id)))
        instances = pool.map(partial(_instance, small), (i.name for i in small.stack.instances))
        return dict([*containers, *instances])


def difference(before: dict[str, Any], small: RunningStack) -> str | None:
    """What is not as it was before; None if everything is."""
    try:
        now = _look(small)
    except (PlatformError, requests.RequestException) as error:
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
        "files": sorted(c["Path"] for c in small.platform.client.api.diff(container.name) or () if _left(c)),
        **(_inside(small, container.name) if container.status == "running" else {}),
    }


def _left(change: dict[str, Any]) -> bool:
    """Whether a file was added or removed, not a folder touched, and not by the service itself."""
    return change["Kind"] != 0 and not _OWN.match(change["Path"])


def _instance(small: RunningStack, name: str) -> tuple[str, dict[str, Any]]:
    shown = _said(small, small.sidecar(name), _SIDECAR)
    proxies = small.toxiproxy(name).proxies()
    return f"pod {name}", {
        "edges": {n: (p.enabled, p.listen, p.upstream, sorted(p.toxics())) for n, p in proxies.items()},
        "network": _OF_ONE_LIFE.sub("_", shown),
        "service": [_TOLD[part](small, name) for part in small.stack.instance(name).plays if part in _TOLD],
    }


def _scripts(small: RunningStack, name: str) -> Any:
    return requests.get(small.url(name, "http", "/admin/script"), timeout=3).json()


def _settings(small: RunningStack, name: str) -> str:
    return _said(small, small.container(name), f'psql -U postgres -Atc "{_POSTGRES}"')


#: By part, how a service that plays it tells how it is set.
_TOLD = {"llm": _scripts, "postgres": _settings}


def _inside(small: RunningStack, name: str) -> dict[str, Any]:
    listed, _, files = _said(small, name, f"{_PROCESSES}echo files; {_FILES}").partition("files\n")
    # What looks from inside is no part of it: this command, and another that is only just starting.
    seen = Counter(line for line in listed.splitlines() if not line.startswith(("timeout,", "runc:")))
    return {"processes": dict(seen), "disks": sorted(files.split())}


def _said(small: RunningStack, name: str, script: str) -> str:
    """All that a script says that changes nothing."""
    said = small.platform.exec(name, ["sh", "-c", f"echo from here; {script}\necho to here"]).output
    if said.startswith("from here\n") and said.endswith("to here\n"):
        return said.removeprefix("from here\n").removesuffix("to here\n")
    raise PlatformError(f"{name}: what it said is not whole: {said}")
