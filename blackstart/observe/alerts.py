"""Prometheus and Alertmanager as an event source: who would have been alerted, of what, and when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from blackstart.observe.http import get
from blackstart.observe.source import Fact, PollingSource, Watch, claimed

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: Labels that are told otherwise, or tell nothing.
_HIDDEN = frozenset({"alertname", "severity"})
#: Prometheus dates an alert by the evaluation that found it, to the millisecond.
ERROR_S = 0.001
#: What an event that ends a state is called.
_ENDS = {"firing": "resolved", "pending": "withdrawn", "received": "cleared"}


@dataclass(frozen=True)
class Alert:
    """One active alert: its rule's name, the labels that tell it from others of that rule, its state."""

    name: str
    labels: str
    state: str
    severity: str = ""
    runbook: str = ""
    since_s: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same while it changes its state."""
        return self.name, self.labels


def evaluated(body: bytes) -> list[Alert]:
    """The alerts in the answer of Prometheus' `/api/v1/alerts`; ValueError if it is something else."""
    told = _json(body)
    if not isinstance(told, dict) or told.get("status") != "success":
        raise ValueError(f"not Prometheus' alerts: {body[:80]!r}")
    return [_alert(each, str(each["state"]), each.get("activeAt")) for each in told["data"]["alerts"]]


def received(body: bytes) -> list[Alert]:
    """The alerts in the answer of Alertmanager's `/api/v2/alerts`; ValueError if it is something else."""
    told = _json(body)
    if not isinstance(told, list):
        raise ValueError(f"not Alertmanager's alerts: {body[:80]!r}")
    return [_alert(each, "received", each.get("startsAt")) for each in told]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise ValueError(f"not JSON: {body[:80]!r}") from None


def _alert(told: Mapping[str, Any], state: str, since: str | None) -> Alert:
    labels: Mapping[str, str] = told["labels"]
    return Alert(
        name=labels["alertname"],
        labels=", ".join(f"{k}={v}" for k, v in sorted(labels.items()) if k not in _HIDDEN),
        state=state,
        severity=labels.get("severity", ""),
        runbook=told.get("annotations", {}).get("runbook_url", ""),
        since_s=datetime.fromisoformat(since).timestamp() if since else None,
    )


class Active:
    """The alerts of successive polls as facts; one that is no longer told of has ended."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Alert] = {}
        self._over: dict[tuple[str, str], Fact] = {}

    def update(self, alerts: Iterable[Alert]) -> list[Fact]:
        """A fact for each alert that is active or ever was, and one that says that somebody watches."""
        now = {alert.key: alert for alert in alerts}
        for key, gone in self._last.items():
            if key not in now:
                self._over[key] = _fact(gone, "inactive", _ENDS[gone.state])
        facts = [Fact({"watching": True})]
        for key, alert in now.items():
            begins = key not in self._last
            self._over.pop(key, None)
            facts.append(_fact(alert, alert.state, alert.state, alert.since_s if begins else None))
        self._last = now
        return [*facts, *self._over.values()]


def _fact(alert: Alert, state: str, named: str, since_s: float | None = None) -> Fact:
    return Fact(
        {"state": state},
        of={"alert": alert.name, "labels": alert.labels},
        named={"state": named},
        extra={"severity": alert.severity, "runbook": alert.runbook},
        claims={"state": claimed(since_s, ERROR_S)},
    )


class AlertSource(PollingSource):
    """Events `pending`, `firing`, `resolved` and `withdrawn` (pending, and then not) of each alert, as
    Prometheus evaluates it; `received`, `cleared`, as Alertmanager has it. Each begins with `watching`,
    and `tells` which of the two it is, by its first word of an alert that is on."""

    name = "alert"

    def __init__(
        self,
        service: str = "prometheus",
        manager: str = "alertmanager",
        port: str = "http",
        every: float = 0.25,
    ) -> None:
        super().__init__()
        self.service, self.manager, self.port, self.every = service, manager, port, every

    def watches(self, running: RunningStack) -> Iterable[Watch]:
        """A watch per Prometheus and per Alertmanager."""
        asked = (
            (self.service, "/api/v1/alerts", evaluated, "firing"),
            (self.manager, "/api/v2/alerts", received, "received"),
        )
        for service, path, parse, tells in asked:
            for instance in running.stack.of(service):
                url = running.url(instance.name, self.port, path)
                yield Watch(
                    {"instance": instance.name, "tells": tells}, partial(self._poll, url, parse, Active())
                )

    def _poll(self, url: str, parse: Any, active: Active) -> Sequence[Fact]:
        answer = get(url, self.timeout)
        if answer.status != 200:
            raise OSError(f"it answers {answer.status}")
        try:
            return active.update(parse(answer.body))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"alerts of an unknown form: {error!r}") from error
