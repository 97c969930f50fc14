"""LLM error: a scripted model provider answers every call with an HTTP error, and counts the calls.

Whatever plays the provider must take `PUT` (a script as JSON), `GET` and `DELETE` on `/admin/script` of the
same port: `{"status": 503, "delay_ms": 0}`. The sample's provider does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import requests

from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.modes import Mode
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack

PATH = "/admin/script"
_TIMEOUT_S = 2.0


@register
@dataclass(frozen=True)
class LlmError(Fault):
    """Every model call to `target` on its port `port` is answered with `status`, `delay` after it came."""

    kind: ClassVar[str] = "llm_error"
    mode: ClassVar[Mode] = Mode.ERRORS
    part: ClassVar[str | None] = "llm"

    target: str
    status: int = 503
    delay: Duration = 0
    port: str = "http"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 400 <= self.status <= 599:
            raise ConfigError(f"status {self.status} is no HTTP error; valid are 400 to 599")
        seconds(self.delay)

    def validate(self, stack: Stack) -> None:
        """See Fault.validate."""
        selector = Selector.parse(self.target)
        selector.validate(stack)
        self.needs_part(selector.candidates(stack), stack)
        for instance in stack.instances:
            if selector.name in (instance.name, instance.service) and self.port not in instance.publish:
                known = ", ".join(instance.publish) or "none"
                raise ConfigError(f"{instance.name} publishes no port {self.port!r}; it publishes: {known}")

    def plan(self, site: Site) -> Undo:
        """InjectionError if a provider follows a script already: its undo would not be ours."""
        providers = [
            {
                "instance": i.name,
                "sidecar": site.sidecar(i.name),
                "port": i.ports[self.port],
                "url": site.url(i.name, self.port, PATH),
            }
            for i in site.resolve(self.target)
        ]
        for provider in providers:
            if script := _ask("GET", str(provider["url"])):
                raise InjectionError(f"{provider['instance']} follows a script already: {script}")
        manual = "; ".join(f"curl -X DELETE {p['url']}" for p in providers)
        targets = tuple(site.container(str(p["instance"])) for p in providers)
        return Undo(self.kind, site.run_id, targets, {"providers": providers}, manual)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for provider in undo.data["providers"]:
            _ask("PUT", provider["url"], self._script())

    def bite(self, site: Site, undo: Undo) -> str:
        """The script reads back, and a model call of ours gets the error."""
        seen = []
        for provider in undo.data["providers"]:
            if _ask("GET", provider["url"]) != self._script():
                raise BiteError(f"{provider['instance']} does not follow the script")
            models = str(provider["url"]).removesuffix(PATH) + "/v1/models"
            status = requests.get(models, timeout=_TIMEOUT_S + seconds(self.delay)).status_code
            if status != self.status:
                raise BiteError(f"{provider['instance']} answers {status}, not {self.status}")
            seen.append(f"{provider['instance']} answers {status}")
        return ", ".join(seen)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Take the script off the providers."""
        for provider in undo.data["providers"]:
            _ask("DELETE", _url(provider, platform))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        for provider in undo.data["providers"]:
            if script := _ask("GET", _url(provider, platform)):
                return f"{provider['instance']} still follows {script}"
        return None

    def _script(self) -> dict[str, Any]:
        return {"status": self.status, "delay_ms": round(seconds(self.delay) * 1000)}


@constructor
def llm_error(
    target: str, status: int = 503, delay: Duration = 0, port: str = "http", **options: Unpack[Options]
) -> LlmError:
    """Have a scripted provider answer with an HTTP error: `llm_error("llm-1", status=429)`."""
    return LlmError(target, status, delay, port, **options)


def _url(provider: dict[str, Any], platform: Platform) -> str:
    """Where the provider is reached now."""
    port = platform.bindings(provider["sidecar"]).get(provider["port"])
    return f"http://127.0.0.1:{port}{PATH}" if port else str(provider["url"])


def _ask(method: str, url: str, script: dict[str, Any] | None = None) -> Any:
    """The script in force after the request; None if there is none."""
    try:
        response = requests.request(method, url, json=script, timeout=_TIMEOUT_S)
        response.raise_for_status()
        return response.json()["script"]
    except (requests.RequestException, KeyError, ValueError, TypeError) as error:
        raise PlatformError(f"{method} {url}: {error}") from error
