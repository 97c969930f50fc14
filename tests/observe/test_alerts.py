"""Prometheus' and Alertmanager's alerts, replayed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blackstart.model.stack import Instance, Stack
from blackstart.observe.alerts import Active, Alert, AlertSource, evaluated, received
from blackstart.stack.running import RunningStack
from tests.observe.places import IMAGE, Events, Place, recorded

ASKED, TOLD = "/api/v1/alerts", "/api/v2/alerts"
PENDING, FIRING = recorded("prometheus-pending.json"), recorded("prometheus-firing.json")
QUIET = b'{"status":"success","data":{"alerts":[]}}'


def test_alerts_and_their_ends_become_events() -> None:
    prometheus, manager = Place({ASKED: QUIET}), Place({TOLD: b"[]"})
    instances = tuple(
        Instance(f"{name}-1", name, IMAGE, {"http": 80}, publish=("http",))
        for name in ("prometheus", "alertmanager")
    )
    none: Any = None
    ports = {"prometheus-1": {80: prometheus.port}, "alertmanager-1": {80: manager.port}}
    running = RunningStack(Stack("recorded", IMAGE, instances), "test", none, ports)
    source, events = AlertSource(every=0.02), Events()
    source.start(running, events)
    try:
        events.until(event="watching", instance="prometheus-1")
        events.until(event="watching", instance="alertmanager-1")
        prometheus.answers[ASKED] = PENDING
        pending = events.until(event="pending", alert="PostgresNoPrimary")
        assert (pending["source"], pending["severity"]) == ("alert", "page")
        assert pending["source_time"] == "2026-11-21T22:43:37.033Z"
        assert pending["runbook"] == "runbooks/postgres-primary-down.md"
        prometheus.answers[ASKED] = FIRING
        firing = events.until(event="firing", alert="PostgresNoPrimary")
        assert firing["was"] == "pending"
        # It is dated by when it became pending, which is not when it began to fire.
        assert "source_time" not in firing
        manager.answers[TOLD] = recorded("alertmanager.json")
        assert events.until(event="received")["instance"] == "alertmanager-1"
        manager.answers[TOLD] = b"[]"
        events.until(event="cleared", alert="PostgresNoPrimary")
        prometheus.answers[ASKED] = QUIET
        events.until(event="resolved", alert="PostgresNoPrimary")
        assert events.until(event="withdrawn", alert="BreakerOpen")["labels"] == (
            "dependency=llm-primary, instance=app-2, job=app"
        )
        told = events.names(alert="PostgresNoPrimary", instance="prometheus-1")
        assert told == ["pending", "firing", "resolved"]
        prometheus.down()
        events.until(event="unreachable", instance="prometheus-1")
    finally:
        source.stop()
        manager.down()


def test_an_alert_that_comes_again_is_told_again() -> None:
    active, alert = Active(), Alert("Down", "job=app", "firing")

    def states(*alerts: Alert) -> list[str]:
        return [fact.named["state"] for fact in active.update(alerts) if fact.of]

    assert [states(alert), states(), states(), states(alert)] == [
        ["firing"],
        ["resolved"],
        ["resolved"],
        ["firing"],
    ]


def test_alerts_of_one_rule_are_told_apart_by_their_labels() -> None:
    body = json.loads(FIRING)
    twice = [dict(body["data"]["alerts"][0]), dict(body["data"]["alerts"][0])]
    twice[1] = {**twice[1], "labels": {**twice[1]["labels"], "server": "app-2"}}
    found = evaluated(json.dumps({"status": "success", "data": {"alerts": twice}}).encode())
    assert len({alert.key for alert in found}) == 2


@pytest.mark.parametrize("body", [b"<html>", b'{"status":"error"}', b"[]"])
def test_another_page_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match="not "):
        evaluated(body)
    if body != b"[]":
        with pytest.raises(ValueError, match="not "):
            received(body)


@pytest.mark.parametrize("body", [b"{}", b'[{"labels": {}}]', b"[1]"])
def test_a_manager_that_talks_nonsense_is_unreachable(body: bytes) -> None:
    source = AlertSource()
    place = Place({TOLD: body})
    try:
        with pytest.raises(ValueError, match=r"not Alert|unknown form"):
            source._poll(f"http://127.0.0.1:{place.port}{TOLD}", received, Active())
        place.status = 503
        with pytest.raises(OSError, match="503"):
            source._poll(f"http://127.0.0.1:{place.port}{TOLD}", received, Active())
    finally:
        place.down()
