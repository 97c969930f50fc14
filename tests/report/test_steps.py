"""The steps of recovery: what the components tell, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from blackstart.report import course as drawn
from blackstart.report.recovery import Row
from blackstart.report.steps import Course, Step, course

S = 10**9
NEVER = float("inf")


def event(t: float, source: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"time": round(t * S), "source": source, "event": name, **fields}


def patroni(t: float, instance: str, role: str, state: str = "running", name: str = "role") -> dict[str, Any]:
    return event(t, "patroni", name, instance=instance, role=role, state=state, within_s=0.2)


def proxy(t: float, name: str, server: str, backend: str = "primary") -> dict[str, Any]:
    return event(t, "haproxy", name, instance="pgproxy-1", backend=backend, server=server)


def found(steps: Course) -> dict[str, tuple[float | None, str]]:
    return {s.name: (None if s.hi is None else round(s.hi, 3), s.source) for s in steps.steps}


HEALTHY = [
    patroni(0, "pg-1", "primary"),
    patroni(0, "pg-2", "replica"),
    event(0, "patroni", "leader", service="postgres", leader="pg-1"),
    proxy(0, "up", "pg-1"),
    proxy(0, "down", "pg-2"),
    event(0, "sentinel", "primary", instance="sentinel-1", server="redis-1", master="cache"),
    event(0, "breaker", "closed", instance="app-1", dependency="redis"),
]
FELT = [Row("write", 0.1, 3.0, 4.5, False), Row("read", 0.1, 1.0, 1.2, False)]
POSTGRES = [
    *HEALTHY,
    event(10.1, "container", "die", instance="pg-1"),
    patroni(10.4, "pg-1", "primary", "crashed", "state"),
    proxy(11.8, "down", "pg-1"),
    patroni(12, "pg-2", "primary"),
    proxy(12.5, "up", "app-1", "app"),
    proxy(13, "up", "pg-2"),
    patroni(20, "pg-1", "replica"),
]
REDIS = [
    *HEALTHY,
    event(11.1, "sentinel", "+sdown", instance="sentinel-2", server="redis-1", kind="primary"),
    event(11.2, "sentinel", "+odown", instance="sentinel-2", server="redis-1", kind="primary"),
    event(11.9, "breaker", "open", instance="app-1", dependency="redis", within_s=0.25),
    event(12.3, "sentinel", "+promoted-slave", instance="sentinel-2", server="redis-2", kind="replica"),
    event(12.4, "sentinel", "+switch-master", instance="sentinel-2", server="redis-2", was="redis-1"),
]


def test_a_postgres_failover_has_all_steps_by_time() -> None:
    told = course(POSTGRES, 10, NEVER, FELT)
    assert found(told) == {
        "detected": (0.4, "patroni"),
        "promoted": (2.0, "patroni"),
        "rerouted": (3.0, "haproxy"),
        "reconnected": (4.5, "client"),
    }
    assert [s.name for s in told.steps] == ["detected", "promoted", "rerouted", "reconnected"]
    assert told.missing == {}
    assert (told.steps[-1].lo, told.steps[-1].what) == (3.0, "write")


def test_a_redis_failover_is_told_by_sentinel_and_rerouted_by_nobody() -> None:
    told = course(REDIS, 10, NEVER, [])
    assert found(told) == {"detected": (1.1, "sentinel"), "promoted": (2.3, "sentinel")}
    assert told.missing == {
        "rerouted": "no proxy says that it changed a route",
        "reconnected": "clients felt no outage",
    }


def test_a_proxy_that_is_ahead_of_the_promotion_stands_before_it() -> None:
    early = [e if e["event"] != "up" or e["time"] == 0 else {**e, "time": 11 * S} for e in POSTGRES]
    early.sort(key=lambda e: e["time"])
    told = course(early, 10, NEVER, FELT)
    assert [s.name for s in told.steps] == ["detected", "rerouted", "promoted", "reconnected"]


def test_a_primary_that_comes_back_is_not_promoted() -> None:
    events = [
        *HEALTHY,
        patroni(10.4, "pg-1", "primary", "crashed", "state"),
        patroni(12, "pg-1", "primary", "running", "state"),
        event(13, "sentinel", "+switch-master", instance="sentinel-1", server="redis-1", was="redis-2"),
    ]
    told = course(events, 10, NEVER, FELT)
    assert "promoted" not in found(told)
    assert told.missing["promoted"] == "no component says that another became primary"


def test_the_second_of_two_failovers_is_told_by_itself() -> None:
    events = [*REDIS, event(21, "sentinel", "+switch-master", server="redis-1", was="redis-2")]
    assert found(course(events, 20, NEVER, []))["promoted"] == (1.0, "sentinel")
    assert found(course(events, 10, 20, []))["promoted"] == (2.3, "sentinel")
    assert "detected" not in found(course(events, 20, NEVER, []))


def test_without_a_promotion_the_proxy_reroutes_by_taking_a_server_out() -> None:
    front = [proxy(0, "up", "app-1", "app"), proxy(0, "up", "app-2", "app")]
    gone = proxy(11.3, "down", "app-1", "app")
    assert found(course([*front, gone], 10, NEVER, []))["rerouted"] == (1.3, "haproxy")
    # The last server that goes leaves nowhere to send to.
    assert "rerouted" not in found(course([front[0], gone], 10, NEVER, []))


@pytest.mark.parametrize(
    "event_",
    [
        event(11, "container", "die", instance="pg-1"),
        event(11, "patroni", "unreachable", instance="pg-1", role="unreachable"),
        event(11, "breaker", "degraded", instance="app-1", degradation="no-cache"),
        event(11, "haproxy", "failing", instance="pgproxy-1", server="pg-1"),
        event(11, "patroni", "role", instance="pg-2", role="replica", state="running"),
        event(9, "sentinel", "+sdown", server="redis-1"),
    ],
)
def test_what_is_no_detection(event_: dict[str, Any]) -> None:
    told = course([*HEALTHY, event_], 10, NEVER, FELT)
    assert found(told) == {"reconnected": (4.5, "client")}
    assert told.missing["detected"] == "no component says that it noticed"


def test_nobody_listened_to_is_said() -> None:
    told = course([], 10, NEVER, FELT)
    assert told.missing["rerouted"] == "nobody who could tell was listened to (haproxy)"
    assert "sentinel" in told.missing["promoted"]


def test_the_stated_error_goes_with_the_step() -> None:
    claim = {"source_time": "2026-01-15T09:30:15.000Z", "source_error_s": 1.0}
    told = course(
        [event(10.1, "haproxy", "down", server="pg-1", within_s=0.5, **claim)], 10, NEVER, []
    ).steps[0]
    assert (told.lo, round(told.hi or 0, 3)) == (0.0, 0.1)
    assert told.error.replace("\N{NO-BREAK SPACE}", " ") == (
        "at most 500 ms earlier, haproxy says 2026-01-15T09:30:15.000Z ± 1.00 s"
    )


def test_the_caption_says_where_the_time_went() -> None:
    told = drawn.caption(course(POSTGRES, 10, NEVER, FELT)).replace("\N{NO-BREAK SPACE}", " ")
    assert told == (
        "Of the 4.50 s that write took at most, 400 ms went until a component noticed (patroni), 1.60 s went "
        "until another was primary (patroni), 1.00 s went until the proxy had changed its route (haproxy) "
        "and 1.50 s more until clients were served again."
    )


def test_the_caption_names_what_nobody_tells() -> None:
    told = drawn.caption(course(REDIS, 10, NEVER, [])).replace("\N{NO-BREAK SPACE}", " ")
    assert told == (
        "Clients felt no outage; the components tell: detected after 1.10 s (sentinel) and promoted after "
        "2.30 s (sentinel). Not told: rerouted (no proxy says that it changed a route)."
    )


def test_a_step_that_came_after_the_clients_is_not_counted_into_their_time() -> None:
    told = drawn.caption(course(POSTGRES, 10, NEVER, [Row("read", 0.1, 1.0, 1.2, False)]))
    assert "Of the 1.20 s that read took at most, 400 ms" in told.replace("\N{NO-BREAK SPACE}", " ")
    assert "800 ms more until clients" in told.replace("\N{NO-BREAK SPACE}", " ")
    assert "Promoted was told only at T+2.000 s and rerouted was told only at T+3.000 s." in told.replace(
        "\N{NO-BREAK SPACE}", " "
    )


def test_clients_that_are_not_seen_to_reconnect_have_no_end() -> None:
    told = course(POSTGRES, 10, NEVER, [Row("write", 0.1, 8.0, 9.0, True)])
    assert told.steps[-1].hi is None
    assert "Of more than 8.00 s" in drawn.caption(told).replace("\N{NO-BREAK SPACE}", " ")
    assert "not seen" in str(drawn.view([told], 10)[0]["chart"])


def test_every_episode_is_drawn_up_to_a_number_that_is_said() -> None:
    one = Course(0.0, (Step("detected", 1.0, 1.0, "haproxy", "x down"),))
    shown = drawn.view([one] * 6, 0.0)
    assert len(shown) == drawn.MAX_EPISODES
    assert drawn.unshown([one] * 6).startswith("2 further episodes")
    assert drawn.unshown([one]) == ""
    assert sum("hatch-course" in str(each["chart"]) for each in shown) == 1
    assert drawn.view([Course(0.0, ())], 0.0) == []
