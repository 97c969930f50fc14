"""Switchover: the primary of a Patroni cluster hands over, as for maintenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import requests

from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from blackstart.model.modes import Mode
from blackstart.model.stack import Stack

#: Patroni answers a switchover when it is over or has failed, after at most 20 s or so.
ANSWER_S = 30.0


@register
@dataclass(frozen=True)
class Switchover(Fault):
    """Ask Patroni for a switchover away from the leader. Nothing is to be undone: the end is a new leader."""

    kind: ClassVar[str] = "switchover"
    mode: ClassVar[Mode] = Mode.HANDOVER
    reversible: ClassVar[bool] = False
    lasts: ClassVar[bool] = False
    bite_limit: ClassVar[float] = 15.0
    grace: ClassVar[float] = 30.0

    target: str = "postgres"
    port: str = "patroni"

    def validate(self, stack: Stack) -> None:
        """ConfigError unless `target` is a service with a primary whose instances publish Patroni's port."""
        members = stack.of(self.target)
        resolver = stack.roles.get(self.target)
        if resolver is None or "primary" not in resolver.roles:
            known = ", ".join(s for s, r in stack.roles.items() if "primary" in r.roles) or "none"
            raise ConfigError(
                f"service {self.target!r} has no primary to switch over; services with one: {known}"
            )
        for member in members:
            if self.port not in member.publish:
                raise ConfigError(
                    f"{member.name} publishes no port {self.port!r}; "
                    f"it publishes: {', '.join(member.publish) or 'none'}"
                )

    def plan(self, site: Site) -> Undo:
        """Who leads now; InjectionError if not exactly one does."""
        roles = site.role_map(self.target)
        leaders = [name for name, role in roles.items() if role == "primary"]
        if len(leaders) != 1:
            raise InjectionError(f"a switchover needs exactly one primary; roles: {dict(roles) or 'none'}")
        members = site.stack.of(self.target)
        data = {
            "leader": leaders[0],
            "members": [{"sidecar": site.sidecar(m.name), "port": m.ports[self.port]} for m in members],
        }
        return Undo(
            self.kind, site.run_id, (site.container(leaders[0]),), data, "patronictl list; nothing to undo"
        )

    def inject(self, site: Site, undo: Undo) -> None:
        """Returns once Patroni says that it is done; InjectionError with its words if it refuses."""
        leader = undo.data["leader"]
        url = site.url(leader, self.port, "/switchover")
        try:
            answer = _request("POST", url, ANSWER_S, json={"leader": leader})
        except requests.RequestException as error:
            raise InjectionError(f"switchover of {leader}: Patroni does not answer: {error}") from error
        if answer.status_code not in (200, 202):
            raise InjectionError(
                f"switchover of {leader}: Patroni says {answer.status_code}: {answer.text.strip()}"
            )

    def bite(self, site: Site, undo: Undo) -> str:
        """Another instance is primary."""
        old = undo.data["leader"]
        roles = site.role_map(self.target)
        if new := [name for name, role in roles.items() if role == "primary" and name != old]:
            return f"primary was {old}, is {', '.join(new)}"
        raise BiteError(f"{old} still leads; roles: {dict(roles) or 'none'}")

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Nothing is undone: a switchover is a wish that was granted."""

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The cluster has a leader that runs, by any member's word."""
        seen = "no member answers"
        for member in undo.data["members"]:
            port = platform.bindings(member["sidecar"]).get(member["port"])
            try:
                listed: list[dict[str, Any]] = _request("GET", f"http://127.0.0.1:{port}/cluster", 2).json()[
                    "members"
                ]
            except (requests.RequestException, ValueError, KeyError) as error:
                seen = f"{member['sidecar']} does not tell: {error}"
                continue
            states = {m.get("name"): (m.get("role"), m.get("state")) for m in listed}
            if ("leader", "running") in states.values():
                return None
            seen = f"no running leader among {states}"
        return seen


def _request(method: str, url: str, timeout_s: float, json: Any = None) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # an HTTP proxy of the user's must not get requests to 127.0.0.1
        return session.request(method, url, json=json, timeout=timeout_s)


@constructor
def switchover(target: str = "postgres", port: str = "patroni", **options: Unpack[Options]) -> Switchover:
    """Hand over the primary of `target` by the Patroni on its port `port`: `switchover("postgres")`."""
    return Switchover(target, port, **options)
