"""What the faults on an instance's network share: one nft table an injection, in the sidecar's namespace."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults import _pods
from blackstart.faults.base import Fault, Platform, Site, Undo, fresh_id
from blackstart.model.errors import ConfigError, InjectionError, PlatformError
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack

#: All peers: every other instance of the run. The harness calls from outside of it and is never cut off.
ALL = "all"
#: As the target sees it.
DIRECTIONS = ("both", "inbound", "outbound")
#: The handle of the scheduler at an interface's root that is ours.
HANDLE = "b1ac:"

_APPLY = 'nft "$1" || exit; shift; for command; do tc $command || exit; done'
# Takes back the table `$1` and our scheduler at the interface `$2`, where there are any.
_CLEAR = f"""
if nft list table inet "$1" >/dev/null 2>&1; then nft delete table inet "$1" || exit; fi
if [ -n "$2" ] && tc qdisc show dev "$2" root | grep -q "htb {HANDLE}"; then tc qdisc del dev "$2" root; fi
"""
_LEFT = f"""
nft list table inet "$1" >/dev/null 2>&1 && echo "the table $1"
[ -z "$2" ] || tc qdisc show dev "$2" root | grep "htb {HANDLE}"
exit 0
"""
# The same for whatever injections there were, saying what it took back.
_CLEAR_ALL = f"""
for table in $(nft list tables inet | grep -o "blackstart_[0-9a-f]*"); do
  nft delete table inet "$table" && echo "the table $table"
done
for dev in $(tc qdisc show | grep "htb {HANDLE} dev .* root" | cut -d " " -f 5); do
  tc qdisc del dev "$dev" root && echo "the scheduler of $dev"
done
exit 0
"""

#: Chain by name: hook, priority, rules.
Chains = Mapping[str, tuple[str, int, Sequence[str]]]


@dataclass(frozen=True)
class Place:
    """What is put into the namespace of one sidecar: chains, and commands for tc on the interface `dev`."""

    chains: Chains
    tc: tuple[str, ...] = ()
    dev: str = ""


@dataclass(frozen=True)
class NetworkFault(Fault):
    """A fault on what the instances of `target` send or receive, whatever edge it belongs to."""

    capabilities: ClassVar[tuple[str, ...]] = ("exec", "address", "kill")
    grace: ClassVar[float] = 4.0
    expires_in_place: ClassVar[bool] = True

    target: str

    @abstractmethod
    def places(self, site: Site) -> dict[str, Place]:
        """What is put where, by instance."""

    def plan(self, site: Site) -> Undo:
        """InjectionError if a target is down, ConfigError if nobody is left to be its peer."""
        id = fresh_id()
        table = f"blackstart_{id}"
        wanted = self.places(site)
        places = {
            site.sidecar(name): {
                "ruleset": _ruleset(table, place.chains),
                "tc": list(place.tc),
                "clear": [table, place.dev],
            }
            for name, place in wanted.items()
        }
        data = {
            "places": places,
            "pods": [_pods.pod_of(site, name) for name in wanted],
            "probes": self.probes(site),
        }
        manual = "; ".join(
            f"docker exec {sidecar} nft delete table inet {table}"
            + (f"; docker exec {sidecar} tc qdisc del dev {place['clear'][1]} root" if place["tc"] else "")
            for sidecar, place in places.items()
        )
        expiry = {s: ["sh", "-c", _CLEAR, "clear", *p["clear"]] for s, p in places.items()}
        # Its peers are places too, at most, but it is the target that something happens to.
        targets = tuple(site.sidecar(i.name) for i in site.resolve(self.target))
        return Undo(self.kind, site.run_id, targets, data, manual, expiry, id)

    def probes(self, site: Site) -> list[dict[str, Any]]:
        """What `bite` needs to know of who can be asked from where."""
        return []

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""

        def apply(sidecar: str, place: Mapping[str, Any]) -> str | None:
            argv = ["bash", "-c", _APPLY, "apply", place["ruleset"], *place["tc"]]
            done = site.platform.exec(sidecar, argv)
            return None if done.code == 0 else f"{sidecar}: {done.output.strip()[-500:]}"

        if wrong := _everywhere(undo, apply):
            raise InjectionError("; ".join(wrong.values()))

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Delete the tables and schedulers. A sidecar that is down took them along."""

        def clear(sidecar: str, place: Mapping[str, Any]) -> str | None:
            if not platform.is_running(sidecar):
                return None
            done = platform.exec(sidecar, ["sh", "-c", _CLEAR, "clear", *place["clear"]])
            return None if done.code == 0 else f"{sidecar}: {done.output.strip()[-300:]}"

        if wrong := _everywhere(undo, clear):
            raise PlatformError("; ".join(wrong.values()))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        return "; ".join(_left(undo, platform).values()) or None

    @classmethod
    def escalate(cls, undo: Undo, platform: Platform) -> None:
        """Start the pods anew: their next life has a network of its own."""
        left = _left(undo, platform)
        for pod in undo.data["pods"]:
            if pod["sidecar"] in left:
                _pods.renew(pod, platform)


@dataclass(frozen=True)
class PeerFault(NetworkFault):
    """A network fault between `target` and `peers`: one selector, several, or all other instances."""

    peers: str | Sequence[str] = ALL

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.peers, str):
            object.__setattr__(self, "peers", tuple(self.peers))  # as JSON gives a list
        if not self.peers:
            raise ConfigError(f"no peers; write selectors, or {ALL!r}")

    def validate(self, stack: Stack) -> None:
        """ConfigError names whom there is if the target would be its own and only peer."""
        super().validate(stack)
        for peer in self._selectors():
            Selector.parse(peer).validate(stack)
        # Roles are not known before the fault strikes: here every instance of the service may hold it.
        targets = _candidates(self.target, stack)
        peers = {p for s in self._selectors() for p in _candidates(s, stack)} or {*stack.by_name}
        if not any(peers - {t} for t in targets):
            self._refuse(stack)

    def severs(self, stack: Stack) -> bool:
        """Whether some target has no instance left that is not among its peers."""
        peers = {p for s in self._selectors() for p in _candidates(s, stack)} or {*stack.by_name}
        return any({*stack.by_name} - {target} <= peers for target in _candidates(self.target, stack))

    def sides(self, site: Site) -> dict[str, dict[str, list[str]]]:
        """By target its peers, each with its addresses. A peer that is down has none and is left out."""
        found: dict[str, dict[str, list[str]]] = {}
        chosen = [site.resolve(s) for s in self._selectors()] or [site.stack.instances]
        peers = list(dict.fromkeys(i.name for group in chosen for i in group))
        addresses = {name: site.platform.addresses(site.sidecar(name)) for name in peers}
        for target in site.resolve(self.target):
            others = {n: addresses[n] for n in peers if n != target.name}
            if not others:
                self._refuse(site.stack)
            if up := {n: a for n, a in others.items() if a}:
                found[target.name] = up
        if not found:
            raise InjectionError(f"every peer of {self.target!r} is down: nothing to keep them from")
        return found

    def _selectors(self) -> tuple[str, ...]:
        if self.peers == ALL:
            return ()
        return (self.peers,) if isinstance(self.peers, str) else tuple(self.peers)

    def _refuse(self, stack: Stack) -> None:
        others = ", ".join(n for n in stack.by_name if n not in _candidates(self.target, stack)) or "none"
        raise ConfigError(f"{self.target!r} has no peer but itself in {self.peers!r}; others: {others}")


def own_addresses(site: Site, instance: str) -> list[str]:
    """The addresses of an instance; InjectionError if it is down."""
    found: list[str] = site.platform.addresses(site.sidecar(instance))
    if not found:
        raise InjectionError(f"{site.sidecar(instance)} is down: it has no network to disturb")
    return found


def matches(what: str, addresses: Iterable[str]) -> list[str]:
    """The beginnings of rules for packets whose `what` (saddr, daddr) is among `addresses`."""
    families = {"ip": [a for a in addresses if ":" not in a], "ip6": [a for a in addresses if ":" in a]}
    return [f"{family} {what} {{ {', '.join(found)} }}" for family, found in families.items() if found]


def counters(platform: Platform, sidecar: str, undo: Undo) -> list[list[int]]:
    """By rule of the injection's table there, the packets that each of its counters saw, in their order."""
    told = platform.exec(sidecar, ["nft", "-j", "list", "table", "inet", f"blackstart_{undo.id}"])
    if told.code != 0:
        raise PlatformError(f"{sidecar}: {told.output.strip()[-300:]}")
    rules = [e["rule"]["expr"] for e in json.loads(told.output)["nftables"] if "rule" in e]
    return [[x["counter"]["packets"] for x in expr if "counter" in x] for expr in rules]


def clear_all(platform: Platform, sidecar: str) -> list[str]:
    """Take back what any injection left in the sidecar's namespace; says what. Raises PlatformError."""
    done = platform.exec(sidecar, ["sh", "-c", _CLEAR_ALL])
    if done.code != 0:
        raise PlatformError(f"{sidecar}: {done.output.strip()[-300:]}")
    return done.output.splitlines()


def _candidates(selector: str, stack: Stack) -> set[str]:
    return {i.name for i in Selector.parse(selector).candidates(stack)}


def _ruleset(table: str, chains: Chains) -> str:
    parts = []
    for name, (hook, priority, rules) in chains.items():
        lines = (f"type filter hook {hook} priority {priority}; policy accept;", *rules)
        parts.append(f"chain {name} {{\n" + "\n".join(lines) + "\n}\n")
    return f"table inet {table} {{\n" + "".join(parts) + "}"


def _left(undo: Undo, platform: Platform) -> dict[str, str]:
    def look(sidecar: str, place: Mapping[str, Any]) -> str | None:
        if not platform.is_running(sidecar):
            return None
        seen = platform.exec(sidecar, ["sh", "-c", _LEFT, "left", *place["clear"]]).output.strip()
        return f"{sidecar} still has {seen}" if seen else None

    return _everywhere(undo, look)


def _everywhere(undo: Undo, act: Callable[[str, Mapping[str, Any]], str | None]) -> dict[str, str]:
    """`act` in all places at once; what it has to say, by sidecar."""
    places: Mapping[str, Mapping[str, Any]] = undo.data["places"]
    with ThreadPoolExecutor(min(16, len(places)), thread_name_prefix="places") as pool:
        said = dict(zip(places, pool.map(act, places, places.values()), strict=True))
    return {sidecar: text for sidecar, text in said.items() if text is not None}
