"""Aggregation, roles and the timeline: what is drawn is what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.report import recovery, roles, timeline
from blackstart.report.samples import MAX_BINS, Sample, aggregate

S = 10**9


def load(n: int, rate: float, kind: str = "ok") -> Iterator[Sample]:
    for i in range(n):
        yield Sample("write", i / rate, i / rate, i / rate + 0.002, kind)


@given(
    st.lists(
        st.tuples(st.floats(0, 4000), st.floats(0, 10), st.sampled_from(["ok", "fail", "info"])), max_size=60
    )
)
def test_no_operation_is_lost_in_the_bins(ops: list[tuple[float, float, str]]) -> None:
    samples = aggregate(Sample("f", due, due, due + took, kind) for due, took, kind in ops)
    assert sum(b.due for k in samples.kinds.values() for b in k.bins) == len(ops) == samples.due
    assert all(len(k.bins) <= MAX_BINS + 1 for k in samples.kinds.values())
    assert samples.bad == sum(kind != "ok" for _, _, kind in ops)


def test_an_operation_without_completion_counts_as_unanswered() -> None:
    samples = aggregate([Sample("f", 1, 1, None, "info")])
    assert samples.kinds["f"].info == 1
    assert samples.kinds["f"].errors == {"no completion": 1}


def test_an_entry_acknowledged_twice_is_one_acknowledged_write() -> None:
    twice = [Sample("w", t, t, t + 0.1, "ok", write=7, node=("pg-1", 1)) for t in (1.0, 2.0)]
    samples = aggregate([*twice, Sample("w", 3, 3, 3.1, "ok", write=8, node=("pg-2", 2))])
    assert samples.acknowledged == 2
    assert [(a.node, a.term, a.count) for a in samples.acks] == [("pg-1", 1, 2), ("pg-2", 2, 1)]


def role(
    t: float, instance: str, name: str, timeline: int | None = 1, state: str = "running"
) -> dict[str, Any]:
    return {
        "time": round(t * S),
        "source": "patroni",
        "event": "role",
        "instance": instance,
        "role": name,
        "timeline": timeline,
        "state": state,
    }


FAILOVER = [
    role(0, "pg-1", "primary"),
    role(0, "pg-2", "replica"),
    role(10.25, "pg-1", "primary", state="crashed"),
    role(11, "pg-2", "primary", 2),
    role(20, "pg-1", "replica", 2),
]


def test_a_crashed_primary_is_none() -> None:
    parts = roles.segments(FAILOVER, 30)
    assert [(p.instance, p.role, p.begin, p.end) for p in parts] == [
        ("pg-1", "primary", 0, 10.25),
        ("pg-1", "other", 10.25, 20),
        ("pg-1", "replica", 20, 30),
        ("pg-2", "replica", 0, 11),
        ("pg-2", "primary", 11, 30),
    ]


def test_the_caption_tells_the_gap_and_that_there_was_no_overlap() -> None:
    told = roles.finding(roles.segments(FAILOVER, 30), zero=10).replace("\N{NO-BREAK SPACE}", " ")
    assert "pg-1 as primary until T+0.250 s and pg-2 on timeline 2 from T+1.000 s" in told
    assert "for 750 ms nobody was seen as primary" in told
    assert "Never were two seen as primary at once" in told


def test_a_primary_that_could_no_longer_be_asked_may_have_gone_on() -> None:
    silent = [
        role(0, "pg-1", "primary"),
        role(10.25, "pg-1", "unreachable", state=""),
        role(11, "pg-2", "primary", 2),
    ]
    told = roles.finding(roles.segments(silent, 30), zero=10)
    assert "pg-1 could not be asked after having been primary" in told
    assert "Never were two" not in told


def test_one_that_becomes_primary_again_was_not_primary_throughout() -> None:
    back = [*FAILOVER[:1], role(10.25, "pg-1", "unreachable", state=""), role(14, "pg-1", "primary", 2)]
    told = roles.finding(roles.segments(back, 30), zero=10).replace("\N{NO-BREAK SPACE}", " ")
    assert "throughout" not in told
    assert "pg-1 as primary until T+0.250 s and again on timeline 2 from T+4.000 s" in told


def test_the_leader_of_a_standby_cluster_is_no_second_primary() -> None:
    regions = [
        role(0, "pg-1", "primary"),
        role(0, "pg-r1", "standby_leader"),
        role(11, "pg-r1", "primary", 2),
    ]
    told = roles.finding(roles.segments(regions[:2], 30), zero=10)
    assert "pg-1 was primary throughout" in told and "Never were two seen as primary at once" in told
    assert "at once for" in roles.finding(roles.segments(regions, 30), zero=10)


def test_who_was_primary_of_redis_is_whom_the_first_sentinel_names() -> None:
    def said(t: float, sentinel: str, name: str, server: str, **more: str) -> dict[str, Any]:
        told = {"time": round(t * S), "source": "sentinel", "event": name, "instance": sentinel}
        return {**told, "server": server, "master": "cache", **more}

    events = [
        said(0, "sentinel-1", "primary", "redis-1"),
        said(0.1, "sentinel-2", "primary", "redis-1"),
        said(11, "sentinel-2", "+sdown", "redis-1", kind="primary"),
        said(11.1, "sentinel-1", "+sdown", "redis-1", kind="primary"),
        said(11.2, "sentinel-1", "+sdown", "sentinel-3", kind="sentinel"),
        said(12.5, "sentinel-1", "+switch-master", "redis-2", was="redis-1"),
        said(12.6, "sentinel-2", "+switch-master", "redis-2", was="redis-1"),
        said(20, "sentinel-1", "-sdown", "redis-1", kind="replica"),
    ]
    parts = roles.segments(events, 30)
    assert [(p.instance, p.detail, p.begin, p.end) for p in parts] == [
        ("redis-1", "primary", 0, 11),
        ("redis-1", "down", 11, 12.5),
        ("redis-1", "deposed", 12.5, 20),
        ("redis-1", "replica", 20, 30),
        ("redis-2", "primary", 12.5, 30),
    ]
    told = roles.finding(parts, 10).replace("\N{NO-BREAK SPACE}", " ")
    assert "sentinel saw redis-1 as primary until T+1.000 s and redis-2 from T+2.500 s: for 1.50 s" in told


def test_two_primaries_at_once_are_told() -> None:
    both = [role(0, "pg-1", "primary"), role(5, "pg-2", "primary", 2), role(8, "pg-1", "replica", 2)]
    parts = roles.segments(both, 30)
    assert roles.overlap(parts) == pytest.approx(3)
    assert "as primary at once for 3.00" in roles.finding(parts, 0)


def test_the_timeline_merges_and_marks_the_turning_points() -> None:
    fault = {"source": "fault", "fault": {"kind": "kill", "target": "pg-1"}, "targets": ["pg-1"]}
    check = {"source": "haproxy", "event": "check", "server": "pg-1", "time": round(10.2 * S)}
    down = {"source": "haproxy", "event": "down", "server": "pg-1", "time": round(10.4 * S)}
    again = {"source": "haproxy", "event": "down", "server": "pg-9", "time": round(10.5 * S)}
    events = [
        *FAILOVER[:2],
        {**fault, "time": 10 * S, "event": "begin"},
        check,
        FAILOVER[2],
        down,
        again,
        FAILOVER[3],
        {**fault, "time": 19 * S, "event": "end"},
        FAILOVER[4],
    ]
    outage = {"f": "write", "begin_s": 10.1, "end_s": 11.3, "lo_s": 1.1, "hi_s": 1.2, "ok_ratio": 0}
    samples = aggregate(load(300, 10))
    entries = timeline.build(events, [outage], samples, roles.segments(events, samples.end))
    assert [e.at for e in entries] == sorted(e.at for e in entries)
    assert [e.what for e in entries if e.decisive] == [
        "kill(pg-1) in force",
        "write: outage begins",
        "pg-1: primary, crashed, timeline 1",
        "pg-1 down",
        "pg-2: primary, timeline 2",
        "write: served again",
        "kill(pg-1) undone",
    ]


def test_an_alert_is_told_by_its_name_and_marks_the_moment_it_fires() -> None:
    fault = {"source": "fault", "fault": {"kind": "kill", "target": "pg-1"}, "targets": ["pg-1"]}
    alert = {"source": "alert", "instance": "prometheus-1", "alert": "NoPrimary", "labels": ""}
    events = [
        {**fault, "time": 10 * S, "event": "begin"},
        {**alert, "time": round(10.1 * S), "event": "pending", "state": "pending"},
        {**alert, "time": round(10.2 * S), "event": "firing", "state": "firing", "was": "pending"},
    ]
    samples = aggregate(load(300, 10))
    told = timeline.build(events, [], samples, [])[1:]
    assert [(e.what, e.decisive) for e in told] == [("NoPrimary pending", False), ("NoPrimary firing", True)]
    assert "prometheus-1" in told[1].detail


def test_an_outage_until_the_end_of_the_load_is_not_called_served_again() -> None:
    samples = aggregate(load(100, 10))
    outage = {"f": "write", "begin_s": 5, "end_s": samples.end, "lo_s": 4, "hi_s": 5, "ok_ratio": 0}
    assert "not served again" in timeline.build([], [outage], samples, [])[-1].what


def test_a_long_timeline_is_cut_but_never_of_what_was_decisive() -> None:
    noise = [{"time": n, "source": "x", "event": f"e{n}"} for n in range(3000)]
    gate = {"time": 3000, "source": "gate", "event": "trip", "gate": "load-lag"}
    entries = timeline.build([*noise, gate], [], aggregate([]), [])
    assert len(entries) <= timeline.MAX_ENTRIES + 1
    assert any(e.what == "gate tripped: load-lag" for e in entries)
    assert "left out" in entries[-1].what


def test_faults_that_touch_are_one_episode() -> None:
    assert recovery.episode_begins([(1, 3), (2, 2.5), (3, 4), (4.5, 5)]) == [1, 4.5]


def test_an_outage_counts_from_its_episode_and_open_ones_have_no_upper_bound() -> None:
    measure = {
        "rto": {"f": "w", "lo_s": 8.0, "hi_s": 10.0, "censored": True},
        "outages": [
            {"f": "r", "begin_s": 5.5, "end_s": 7.0, "lo_s": 1.0, "hi_s": 1.6, "ok_ratio": 0},
            {"f": "w", "begin_s": 5.1, "end_s": 15.0, "lo_s": 7.9, "hi_s": 9.9, "ok_ratio": 0},
            {"f": "x", "begin_s": 1.0, "end_s": 2.0, "lo_s": 0.9, "hi_s": 1.0, "ok_ratio": 0},
        ],
    }
    shown = recovery.view(measure, [(5.0, 9.0), (6.0, 7.0)], 15.0, 10.0)
    assert shown is not None
    rows = [[cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in shown["rows"]]
    assert rows == [["r", "500 ms", "1.50 s", "2.00 s"], ["w", "100 ms", "8.00 s", "not seen"]]
