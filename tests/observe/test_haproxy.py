"""HAProxy 3.0's statistics, replayed."""

from __future__ import annotations

import pytest

from blackstart.observe.haproxy import HAProxySource, parse
from tests.observe.places import Events, Place, recorded, running

PATH = "/stats;csv"


def test_servers_and_backends_are_facts_and_frontends_are_not() -> None:
    facts = parse(recorded("haproxy-before.csv"), wall_s=1000.0)
    told = {(f.of["backend"], f.of.get("server")): f.values for f in facts}
    assert told == {
        ("primary", "pg-1"): {"status": "UP", "check": "L7OK"},
        ("primary", "pg-2"): {"status": "DOWN", "check": "L7STS"},
        ("replica", "pg-1"): {"status": "DOWN", "check": "L7STS"},
        ("replica", "pg-2"): {"status": "UP", "check": "L7OK"},
        ("primary", None): {"active": 1},
        ("replica", None): {"active": 1},
    }
    # It went up 34 s before second 1000 of the epoch.
    assert facts[0].claims["status"] == {"source_time": "1970-01-01T00:16:06.000Z", "source_error_s": 1.0}


def test_changes_become_events_and_checks_under_way_do_not() -> None:
    proxy = Place({PATH: recorded("haproxy-before.csv")})
    source, events = HAProxySource("pgproxy", every=0.02), Events()
    with running("pgproxy", "stats", {"pgproxy-1": proxy}) as stack:
        source.start(stack, events)
        first = events.until(backend="primary", server="pg-1")
        assert (first["event"], first["instance"], first["check_code"]) == ("up", "pgproxy-1", 200)
        events.until(backend="replica", active=1)
        told = len(events.all)
        # "* L7OK" with code 0: the same result, while the next check is under way.
        proxy.answers[PATH] = recorded("haproxy-mid.csv")
        proxy.answers[PATH] = recorded("haproxy-down.csv")
        failing = events.until(backend="primary", event="failing")
        assert (failing["server"], failing["status"], failing["was"]) == ("pg-1", "UP 1/2", "UP")
        assert "source_time" not in failing
        assert [e["event"] for e in events.all[told:]] in (["failing", "check"], ["failing"])
        proxy.answers[PATH] = recorded("haproxy-after.csv")
        down = events.until(backend="primary", server="pg-1", event="down")
        assert (down["was"], down["check"]) == ("UP 1/2", "L7STS")
        assert down["source_time"]
        assert events.until(backend="primary", server="pg-2", event="up")["was"] == "DOWN"
        # One for the other: the backend never changed its count between two polls.
        assert events.names(backend="primary", active=1) == ["active"]
        source.stop()


def test_a_check_under_way_changes_nothing() -> None:
    before = parse(recorded("haproxy-before.csv"), 0.0)
    mid = parse(recorded("haproxy-mid.csv"), 0.0)
    assert b"* L7OK" in recorded("haproxy-mid.csv")
    assert [(f.of, f.values) for f in before] == [(f.of, f.values) for f in mid]


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("UP", "up"),
        ("UP 1/2", "failing"),
        ("DOWN", "down"),
        ("DOWN 1/2", "rising"),
        ("DOWN (agent)", "down"),
        ("MAINT", "maintenance"),
        ("MAINT (via app/app-1)", "maintenance"),
        ("DRAIN", "draining"),
        ("no check", "unchecked"),
        ("NOLB", "nolb"),
    ],
)
def test_every_status_has_a_name(status: str, event: str) -> None:
    body = recorded("haproxy-before.csv").replace(
        b",UP,1,1,0,0,0,34,", f",{status},1,1,0,0,0,34,".encode(), 1
    )
    fact = next(f for f in parse(body, 0.0) if f.of.get("server") == "pg-1")
    assert (fact.values["status"], fact.named["status"]) == (status, event)


def test_another_page_is_no_answer() -> None:
    with pytest.raises(ValueError, match="not HAProxy's statistics"):
        parse(b"<html>no</html>", 0.0)
