"""A client of one Toxiproxy server, on toxiproxy-python 0.1.1 without its defects.

That package keeps host and port in class globals (a second client repoints the first), has no timeout,
raises on 400, 404 and 409 only, and never reads back. Here each client has its own address and deadline,
every non-2xx answer raises ToxiproxyError, and every change is read back from the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote

import requests
from toxiproxy import Proxy  # type: ignore[import-untyped]
from toxiproxy.toxic import Toxic  # type: ignore[import-untyped]

from blackstart.model.errors import ToxiproxyError

#: Where a sidecar's Toxiproxy listens for its API, inside the pod.
PROXY_API_PORT = 8474
#: Seconds to wait for an answer. Removing a toxic may hang in the server for 25 s before its own 503.
TIMEOUT_S = 3.0


class Api:
    """HTTP to one server: a deadline on every request, ToxiproxyError for anything but 2xx."""

    def __init__(self, base_url: str, timeout: float = TIMEOUT_S) -> None:
        self.base_url, self.timeout = base_url.rstrip("/"), timeout
        # One connection for all requests: a fault on an edge is some five of them.
        self._session = requests.Session()
        self._session.trust_env = False  # an HTTP proxy of the user's must not get requests to 127.0.0.1

    def call(self, method: str, path: str, json: Any = None) -> Any:
        """The decoded answer, None where it has no body. Raises ToxiproxyError."""
        what = f"{method} {self.base_url}{path}"
        try:
            answer = self._session.request(method, self.base_url + path, json=json, timeout=self.timeout)
        except requests.Timeout:
            raise ToxiproxyError(f"{what}: no answer within {self.timeout:g} s") from None
        except requests.RequestException as error:
            raise ToxiproxyError(f"{what}: {error}") from error
        if not 200 <= answer.status_code < 300:
            text = answer.text.strip()[:300] or "(no body)"
            raise _Refused(answer.status_code, f"{what}: answered {answer.status_code}: {text}")
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise ToxiproxyError(f"{what}: answered {answer.text[:300]!r}, which is no JSON") from None


class _Refused(ToxiproxyError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class EdgeProxy(Proxy):  # type: ignore[misc]
    """One proxy of the server, as last read from it."""

    name: str
    upstream: str
    listen: str
    enabled: bool

    def __init__(self, api: Api, data: Mapping[str, Any]) -> None:
        super().__init__(**data)
        self._api = api

    def toxics(self) -> dict[str, Toxic]:
        """The toxics in force, by name, read now."""
        found = self._api.call("GET", f"{self._path}/toxics") or []
        return {t["name"]: Toxic(**t) for t in found}

    def enable(self) -> None:
        """Listen again; a no-op if it does."""
        self._switch(True)

    def disable(self) -> None:
        """Drop every connection and stop listening; a no-op if it already has."""
        self._switch(False)

    def add_toxic(
        self,
        *,
        type: str,
        stream: str = "downstream",
        name: str = "",
        toxicity: float = 1.0,
        attributes: Mapping[str, Any] | None = None,
    ) -> Toxic:
        """Add a toxic and return it as the server reads it back; an equal one that is there is kept."""
        name = name or f"{type}_{stream}"
        body: dict[str, Any] = {
            "name": name,
            "type": type,
            "stream": stream,
            "toxicity": toxicity,
            "attributes": dict(attributes or {}),
        }
        try:
            self._api.call("POST", f"{self._path}/toxics", body)
        except _Refused as error:
            if error.status != 409:
                raise
        seen = self.toxics().get(name)
        wanted = (type, stream, toxicity)
        if (
            seen is None
            or (seen.type, seen.stream, seen.toxicity) != wanted
            or any(seen.attributes.get(k) != v for k, v in body["attributes"].items())
        ):
            raise ToxiproxyError(
                f"proxy {self.name} of {self._api.base_url}: toxic {name} reads back as {_show(seen)}"
            )
        return seen

    def destroy_toxic(self, toxic_name: str) -> bool:
        """Remove a toxic and see that it is gone; False if there was none."""
        return self.destroy_toxics([toxic_name]) == [toxic_name]

    def destroy_toxics(self, names: Iterable[str]) -> list[str]:
        """Remove toxics, then see that all are gone; returns those that were there."""
        wanted = list(names)
        removed = [name for name in wanted if self._remove_toxic(name)]
        if left := sorted(set(wanted) & set(self.toxics())):
            raise ToxiproxyError(
                f"proxy {self.name} of {self._api.base_url}: toxic {', '.join(left)} is still there"
            )
        return removed

    def _remove_toxic(self, name: str) -> bool:
        try:
            self._api.call("DELETE", f"{self._path}/toxics/{quote(name, safe='')}")
        except _Refused as error:
            if error.status != 404:
                raise
            return False
        return True

    def destroy(self) -> bool:
        """Delete the proxy."""
        self._api.call("DELETE", self._path)
        return True

    @property
    def _path(self) -> str:
        return f"/proxies/{quote(self.name, safe='')}"

    def _switch(self, enabled: bool) -> None:
        self._api.call("POST", self._path, {"enabled": enabled})
        self.enabled = bool(self._api.call("GET", self._path)["enabled"])
        if self.enabled is not enabled:
            raise ToxiproxyError(
                f"proxy {self.name} of {self._api.base_url} reads back enabled={self.enabled}, not {enabled}"
            )


class ToxiproxyClient:
    """A client of the server at `base_url` (`http://127.0.0.1:49153`); `timeout` in seconds per request.

    Clients are independent of each other, and of threads. Every method raises ToxiproxyError.
    """

    def __init__(self, base_url: str, timeout: float = TIMEOUT_S) -> None:
        self.base_url = base_url
        self._api = Api(base_url, timeout)

    def proxies(self) -> dict[str, EdgeProxy]:
        """All proxies by name, read now."""
        return {n: EdgeProxy(self._api, d) for n, d in (self._api.call("GET", "/proxies") or {}).items()}

    def proxy(self, name: str) -> EdgeProxy:
        """The proxy called `name`; ToxiproxyError names those that there are."""
        found = self.proxies()
        if name not in found:
            known = ", ".join(found) or "none"
            raise ToxiproxyError(f"{self.base_url} has no proxy {name!r}; it has: {known}")
        return found[name]

    def get_proxy(self, proxy_name: str) -> EdgeProxy | None:
        """The proxy called `proxy_name`, None if there is none."""
        return self.proxies().get(proxy_name)

    def populate(self, proxies: Iterable[Mapping[str, Any]]) -> list[EdgeProxy]:
        """Make each `{"name", "listen", "upstream"}` exist, in one request; returns all, also unchanged ones.

        One with the same name and another address is replaced; the toxics of unchanged ones stay.
        """
        wanted = [{"enabled": True, **p} for p in proxies]
        self._api.call("POST", "/populate", wanted)
        seen = self.proxies()
        for proxy in wanted:
            got = seen.get(cast(str, proxy["name"]))
            if got is None or (got.upstream, got.enabled) != (proxy["upstream"], proxy["enabled"]):
                raise ToxiproxyError(f"{self.base_url}: proxy {proxy['name']} reads back as {_show(got)}")
        return [seen[cast(str, p["name"])] for p in wanted]

    def reset(self) -> None:
        """Enable every proxy and remove every toxic; read back."""
        self._api.call("POST", "/reset")
        for name, proxy in self.proxies().items():
            if not proxy.enabled or proxy.toxics():
                raise ToxiproxyError(f"{self.base_url}: proxy {name} is not as new after a reset")


def _show(thing: Any) -> str:
    return "absent" if thing is None else str({k: v for k, v in vars(thing).items() if not k.startswith("_")})
