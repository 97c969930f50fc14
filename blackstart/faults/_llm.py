"""What the faults of a scripted model provider share; `docs/llm-faults.md` says how a provider is told.

Each puts a script of one rule at each provider, under the injection's id, so that several are in force at a
time and each is undone alone. The script ends by itself soon after `max_duration`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import requests

from blackstart.faults._llm_probe import ENDPOINTS, Probe, Seen
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.model.durations import seconds
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack

PATH = "/admin/script"
#: So long after `max_duration` the provider itself ends a script that nobody took back.
SPARE_S = 5.0
#: A probe listens at most so long: a longer delay is seen as silence.
PATIENCE_S = 2.0
_TIMEOUT_S = 2.0
_CALLS = re.compile(r"(\d+)(?:(-)(\d+)?)?(?:/(\d+))?")


class Which(Options, total=False):
    """The parameters that all LLM faults have: which calls they strike.

    The provider is told at the port that it publishes as `port`. `model` is the name that the caller gives,
    in which `*` and `?` match. `endpoint` is chat, embeddings or models. `calls` says which of the matching
    calls, counted from 1: `"3"`, `"2-4"`, `"5-"`, or `"1-/3"` for every third from the first. Of these, so
    many are struck as `probability` says, by the hash of `seed` and the call's number.
    """

    port: str
    model: str | None
    endpoint: str | None
    calls: str | None
    probability: float
    seed: int


@dataclass(frozen=True)
class LlmFault(Fault):
    """Strike model calls to the provider `target`, those that `Which` says."""

    #: The provider's name for the fault.
    wire: ClassVar[str]
    part: ClassVar[str | None] = "llm"
    expires_in_place: ClassVar[bool] = True
    #: The endpoints that it can strike, and whether the call that shows its bite is streamed where it can be.
    endpoints: ClassVar[tuple[str, ...]] = ENDPOINTS
    stream: ClassVar[bool] = True
    request: ClassVar[Mapping[str, Any]] = {}

    target: str
    port: str = field(default="http", kw_only=True)
    model: str | None = field(default=None, kw_only=True)
    endpoint: str | None = field(default=None, kw_only=True)
    calls: str | None = field(default=None, kw_only=True)
    probability: float = field(default=1.0, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.endpoint not in (None, *self.endpoints):
            known = ", ".join(self.endpoints)
            raise ConfigError(f"{self.kind} strikes no endpoint {self.endpoint!r}; it strikes: {known}")
        if self.model is not None and "[" in self.model:
            raise ConfigError(f"model {self.model!r}: only * and ? match other characters")
        if not 0 < self.probability <= 1:
            raise ConfigError(f"probability {self.probability} is not above 0 and at most 1")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed {self.seed} is not from 0 to 2**63 - 1")
        parse_calls(self.calls)

    @abstractmethod
    def params(self) -> dict[str, Any]:
        """The parameters of the provider's fault."""

    @abstractmethod
    def sees(self, seen: Seen, usual: Seen) -> str | None:
        """What shows the fault in a struck answer, beside the usual one to the same call; None if nothing."""

    @property
    def patience_s(self) -> float:
        """How long the call that shows the bite listens."""
        return PATIENCE_S

    def rule(self) -> dict[str, Any]:
        """The script's only rule."""
        return {
            "fault": self.wire,
            "params": self.params(),
            "model": self.model,
            "endpoint": self.endpoint,
            "calls": parse_calls(self.calls),
            "probability": self.probability,
            "seed": self.seed,
        }

    def probe(self) -> Probe:
        """A call that the rule matches."""
        endpoint = self.endpoint or self.endpoints[0]
        model = (self.model or "probe").replace("*", "x").replace("?", "x")
        return Probe(endpoint, self.stream and endpoint == "chat", model, self.request)

    def validate(self, stack: Stack) -> None:
        """See Fault.validate; the provider must publish the port."""
        super().validate(stack)
        selector = Selector.parse(self.target)
        for instance in stack.instances:
            if selector.name in (instance.name, instance.service) and self.port not in instance.publish:
                known = ", ".join(instance.publish) or "none"
                raise ConfigError(f"{instance.name} publishes no port {self.port!r}; it publishes: {known}")

    def plan(self, site: Site) -> Undo:
        """InjectionError if a provider takes no scripts or does not know the fault."""
        providers = [
            {
                "instance": i.name,
                "sidecar": site.sidecar(i.name),
                "port": i.ports[self.port],
                "url": site.url(i.name, self.port),
            }
            for i in site.resolve(self.target)
        ]
        for provider in providers:
            try:
                known = _admin("GET", str(provider["url"])).get("faults") or []
            except PlatformError as error:
                raise InjectionError(f"{provider['instance']} takes no scripts: {error}") from error
            if self.wire not in known:
                raise InjectionError(
                    f"{provider['instance']} has no fault {self.wire!r}; it has: {', '.join(known)}"
                )
        token = fresh_id()
        manual = "; ".join(f"curl -X DELETE {p['url']}{PATH}/{token}" for p in providers)
        targets = tuple(site.container(str(p["instance"])) for p in providers)
        data = {"probe": asdict(self.probe()), "providers": providers}
        return Undo(self.kind, site.run_id, targets, data, manual, id=token)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        script = {"rules": [self.rule()], "expires_s": seconds(self.max_duration) + SPARE_S}
        for provider in undo.data["providers"]:
            _admin("PUT", provider["url"], undo.id, script)

    def bite(self, site: Site, undo: Undo) -> str:
        """A call of ours that meets the rule is answered with the fault, one that does not as usual."""
        token, probe = undo.id, self.probe()
        shown = []
        for provider in undo.data["providers"]:
            usual = probe.ask(provider["url"], f"not-{token}", PATIENCE_S)
            if wrong := usual.wrong():
                raise BiteError(f"{provider['instance']} answers badly without the fault, too: {wrong}")
            seen = probe.ask(provider["url"], token, self.patience_s)
            try:
                told = self.sees(seen, usual)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise BiteError(f"{provider['instance']} answers {seen}: {error}") from error
            if told is None:
                raise BiteError(f"{provider['instance']} shows no {self.kind}: {seen}")
            shown.append(f"{provider['instance']} {told}")
        return ", ".join(shown)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Take the script back at every provider.

        Also where another cannot be reached; then it raises PlatformError.
        """
        errors = []
        for provider in undo.data["providers"]:
            try:
                _admin("DELETE", _url(provider, platform), undo.id)
            except PlatformError as error:
                errors.append(str(error))
        if errors:
            raise PlatformError("; ".join(errors))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The script is gone, and the call that showed the bite is answered as it should be."""
        token, probe = undo.id, Probe(**undo.data["probe"])
        for provider in undo.data["providers"]:
            url = _url(provider, platform)
            if token in _admin("GET", url)["scripts"]:
                return f"{provider['instance']} still follows script {token}"
            if wrong := probe.ask(url, token, PATIENCE_S).wrong():
                return f"{provider['instance']} answers badly: {wrong}"
        return None


def parse_calls(calls: str | None) -> dict[str, int | None]:
    """`"2-8/3"` as a rule has it: `{"from": 2, "to": 8, "every": 3}`. ConfigError says what is valid."""
    if calls is None:
        return {"from": 1, "to": None, "every": 1}
    match = _CALLS.fullmatch(calls) if isinstance(calls, str) else None
    if match is not None:
        first, every = int(match[1]), int(match[4] or 1)
        last = int(match[3]) if match[3] else (None if match[2] else first)
        if first >= 1 and every >= 1 and (last is None or last >= first):
            return {"from": first, "to": last, "every": every}
    raise ConfigError(f"calls {calls!r} are none; write '3', '2-4', '5-', or '1-/3' for every third")


def _url(provider: Mapping[str, Any], platform: Platform) -> str:
    """Where the provider is reached now."""
    port = platform.bindings(provider["sidecar"]).get(provider["port"])
    return f"http://127.0.0.1:{port}" if port else str(provider["url"])


def _admin(
    method: str, base: str, token: str = "", script: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`{"scripts": {token: script}, "faults": [name]}` after the request. PlatformError."""
    url = f"{base}{PATH}/{token}" if token else base + PATH
    with requests.Session() as session:
        session.trust_env = False  # as in `Probe.ask`
        try:
            response = session.request(method, url, json=script, timeout=_TIMEOUT_S)
            if not response.ok:
                raise PlatformError(f"{method} {url}: {response.status_code} {response.text[:500]}")
            told = dict(response.json())
            told["scripts"] = dict(told["scripts"])
            return told
        except (requests.RequestException, KeyError, ValueError, TypeError) as error:
            raise PlatformError(f"{method} {url}: {error}") from error
