"""Every fault as data, and kill, freeze and switchover on a platform in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from blackstart import faults
from blackstart.faults import (
    REGISTRY,
    Fault,
    Undo,
    archiving_fails,
    bandwidth_limit,
    cache_flushed,
    clock_drift,
    clock_offset,
    cpu_hog,
    cpu_throttle,
    crash_loop,
    dns_failure,
    edge_bandwidth,
    edge_down,
    edge_flapping,
    edge_latency,
    edge_limit_data,
    edge_reset,
    edge_slicer,
    edge_slow_close,
    edge_timeout,
    fault_from_dict,
    fds_exhausted,
    file_replaced,
    freeze,
    kill,
    memory_hog,
    node_kill,
    packet_corruption,
    packet_delay,
    packet_loss,
    page_corrupted,
    partition,
    postgres_connections,
    redis_connections,
    redis_memory_full,
    replay_paused,
    restart,
    rolling_restart,
    rows_deleted,
    secret_revoked,
    stop,
    suspend,
    switchover,
    table_dropped,
    table_locked,
    zone_lost,
)
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from tests.faults.fakes import FixedRoles, site, stack
from tests.toxiproxy.misbehaving import Misbehaving

ALL: list[Fault] = [
    kill("postgres.primary", process="postgres", max_duration="30s"),
    kill("app-1"),
    freeze("app"),
    edge_down("app", "postgres.primary", 5432),
    edge_latency("app-1", "pg-2", latency="1s", jitter="100ms", direction="upstream"),
    edge_timeout("app-1", "pg-2", share=0.25),
    edge_bandwidth("app-1", "pg-2", rate="1Mbit/s"),
    edge_slow_close("app-1", "pg-2", delay="2s"),
    edge_reset("app-1", "pg-2", after="100ms"),
    edge_slicer("app-1", "pg-2", size="1kB", variation=10),
    edge_limit_data("app-1", "pg-2", size="4KiB"),
    edge_flapping("app-1", "pg-2", down="1s", up=2),
    partition("postgres.primary", ["app", "postgres.replica"], direction="inbound"),
    packet_loss("postgres", "postgres", percent=2.5),
    bandwidth_limit("pg-1", "2Mbit/s", peers="pg-2"),
    packet_delay("app-1", "50ms", jitter="5ms"),
    packet_corruption("app-1"),
    dns_failure("app-1", how="timeout"),
    stop("app-1", timeout="30s"),
    restart("app"),
    suspend("postgres.primary", "patroni"),
    crash_loop("pg-1", "postgres", interval="100ms"),
    node_kill("postgres.primary"),
    switchover(),
    cpu_throttle("app", cpus=0.5),
    cpu_hog("app-1", workers=2),
    memory_hog("postgres.primary", victim="postgres"),
    fds_exhausted("app", "python"),
    file_replaced("postgres.primary", path="/run/tls/tls.pem", by="/run/tls/next.pem", then="reload"),
    postgres_connections(user="app"),
    redis_connections("pg-1", port=6380),
    redis_memory_full("pg-1", limit="1MiB"),
    replay_paused(),
    clock_offset("app-1", by="-5m"),
    clock_drift("app", rate=-0.1),
    rows_deleted("postgres.primary", "public.turns", "id > 3", share=0.5, seed=7, database="app"),
    table_dropped("postgres.primary", "turns", cascade=True),
    table_locked("postgres.primary", "documents", database="app"),
    page_corrupted("pg-1", "turns", page=3),
    archiving_fails(),
    secret_revoked("postgres.primary", "app"),
    cache_flushed("pg-1", redis="redis-cli -p 6380"),
    zone_lost("b"),
    rolling_restart("app", ready_within="2m"),
]


@pytest.mark.parametrize("fault", ALL, ids=lambda f: f.kind)
def test_a_fault_round_trips_through_json(fault: Fault) -> None:
    data = json.loads(json.dumps(fault.to_dict()))
    assert fault_from_dict(data) == fault
    assert data["kind"] == fault.kind
    assert data["target"]


def test_the_registry_holds_the_first_six_kinds() -> None:
    assert {"kill", "freeze", "edge_down", "edge_latency", "switchover"} <= set(REGISTRY)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"kind": "gremlins", "target": "app"}, "edge_down, .*edge_latency, .*freeze, .*kill, .*switchover"),
        ({"kind": "kill", "target": "app", "proces": "x"}, "target, process"),
        ({"kind": "kill"}, "target"),
        ({"kind": "kill", "target": "app", "max_duration": "soon"}, "not a duration"),
        (
            {"kind": "edge_latency", "target": "a", "upstream": "b", "direction": "sideways"},
            "upstream, downstream",
        ),
        ({"kind": "edge_latency", "target": "a", "upstream": "b", "latency": 0}, "milliseconds"),
        ({"kind": "edge_latency", "target": "a", "upstream": "b", "jitter": "2s"}, "jitter"),
        ({"kind": "edge_timeout", "target": "a", "upstream": "b", "share": 0}, "more than 0, up to 1"),
        ({"kind": "edge_reset", "target": "a", "upstream": "b", "share": 1.1}, "more than 0, up to 1"),
        ({"kind": "edge_bandwidth", "target": "a", "upstream": "b", "rate": "1kb"}, "kB/s, .*Mbit/s"),
        ({"kind": "edge_bandwidth", "target": "a", "upstream": "b", "rate": "10B/s"}, "whole kB/s"),
        ({"kind": "edge_slow_close", "target": "a", "upstream": "b", "delay": 0}, "milliseconds"),
        ({"kind": "edge_slicer", "target": "a", "upstream": "b", "size": 5, "variation": 5}, "less than"),
        ({"kind": "edge_limit_data", "target": "a", "upstream": "b", "size": 0}, "KiB"),
        ({"kind": "partition", "target": "a", "direction": "sideways"}, "both, inbound, outbound"),
        ({"kind": "partition", "target": "a", "peers": []}, "no peers"),
        ({"kind": "packet_loss", "target": "a", "direction": "up"}, "both, inbound, outbound"),
        ({"kind": "packet_loss", "target": "a", "percent": 101}, "0.1 to 100"),
        ({"kind": "packet_corruption", "target": "a", "percent": 0}, "0.01 to 100"),
        ({"kind": "packet_delay", "target": "a", "delay": "0.1ms"}, "1 ms or more"),
        ({"kind": "packet_delay", "target": "a", "delay": "1s", "jitter": "2s"}, "more than the delay"),
        ({"kind": "bandwidth_limit", "target": "a", "rate": "1kbit/s"}, "8kbit/s"),
        ({"kind": "dns_failure", "target": "a", "how": "gone"}, "refused, timeout"),
        ({"kind": "stop", "target": "a", "timeout": "soon"}, "not a duration"),
        ({"kind": "file_replaced", "target": "a", "path": "etc/a", "by": "/b"}, "absolute path"),
        ({"kind": "file_replaced", "target": "a", "path": "/a", "by": "/a"}, "not replaced by itself"),
        ({"kind": "crash_loop", "target": "a", "process": "sh"}, "cannot kill itself"),
        ({"kind": "crash_loop", "target": "a", "process": "b", "interval": 0}, "50 ms or more"),
        ({"kind": "edge_flapping", "target": "a", "upstream": "b", "down": "50ms"}, "100 ms or more"),
        (
            {"kind": "edge_flapping", "target": "a", "upstream": "b", "up": "1m", "max_duration": "1m"},
            "longer than max_duration",
        ),
    ],
)
def test_bad_data_is_refused_with_what_is_valid(data: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        fault_from_dict(data)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_constructor_answers_a_wrong_parameter_with_the_valid_ones(name: str) -> None:
    make = getattr(faults, name)
    with pytest.raises(ConfigError, match=r"no parameter 'gremlins'; it has: target, .*max_duration"):
        make("app-1", gremlins="2")
    with pytest.raises(ConfigError, match=rf"parameters of {name}\(\): target, .*max_duration"):
        make("app-1", *["x"] * 20)


def test_a_mistyped_parameter_is_named() -> None:
    with pytest.raises(ConfigError, match="no parameter 'proces'; it has: target, process, max_duration"):
        kill("app-1", proces="x")  # type: ignore[call-arg]  # what is tested
    with pytest.raises(ConfigError, match="'upstream'"):
        edge_down("app-1")  # type: ignore[call-arg]  # what is tested


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (kill("postgre"), "postgres"),
        (kill("postgres.leader"), "primary, replica"),
        (freeze("app[zone=z]"), "a"),
        (edge_down("pg-1", "app-1"), "no edge from 'pg-1' to 'app-1'; edges from there: none"),
        (edge_down("app", "postgres", 6379), r"on port 6379; edges from there: app-1 -> pg-1:5432"),
        (edge_latency("app", "redis"), "unknown target 'redis'"),
        (partition("app-1", "app"), "'app-1' has no peer but itself in 'app'; others: pg-1, pg-2"),
        (partition("app", ["app", "app-1"]), "no peer but itself"),
        (packet_loss("pg-1", "redis"), "unknown target 'redis'"),
        (dns_failure("pg-3"), "instances: pg-1, pg-2, app-1"),
        (stop("redis"), "services: postgres, app"),
        (suspend("postgres.leader", "patroni"), "primary, replica"),
        (node_kill("app[zone=z]"), "its zones: a"),
        (switchover("app"), "services with one: postgres"),
        (switchover(port="rest"), "it publishes: patroni"),
    ],
)
def test_a_target_that_the_stack_lacks_is_refused_with_those_it_has(fault: Fault, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        fault.validate(stack())


@pytest.mark.parametrize("fault", ALL, ids=lambda f: f.kind)
def test_a_good_target_is_accepted_whoever_holds_the_role_now(fault: Fault) -> None:
    fault.validate(stack())


def test_an_undo_round_trips() -> None:
    undo = Undo("kill", "r1", ("a", "b"), {"process": None}, "docker start a b")
    assert Undo.from_dict(json.loads(json.dumps(undo.to_dict()))) == undo


class TestKillProcess:
    fault = kill("postgres.primary", process="postgres")

    def test_it_strikes_whoever_is_primary_and_bites_when_all_its_pids_are_gone(self) -> None:
        where = site(pg_1="replica", pg_2="primary")
        undo = self.fault.plan(where)
        assert undo.targets == ("bs-r1-pg-2",)
        with pytest.raises(BiteError, match="20, 21, 22"):
            self.fault.bite(where, undo)
        self.fault.inject(where, undo)
        assert where.platform.log == ["KILL postgres bs-r1-pg-2"]
        assert "3 processes postgres" in self.fault.bite(where, undo)

    def test_one_survivor_is_no_bite(self) -> None:
        where = site()
        undo = self.fault.plan(where)
        where.platform.processes["bs-r1-pg-1"]["postgres"] = [22, 900]
        with pytest.raises(BiteError, match="22"):
            self.fault.bite(where, undo)

    def test_a_container_that_goes_down_with_it_has_bitten(self) -> None:
        where = site()
        undo = self.fault.plan(where)
        where.platform.kill("bs-r1-pg-1")
        assert self.fault.bite(where, undo)

    def test_it_is_undone_when_the_process_is_back(self) -> None:
        where = site()
        where.platform.supervised.clear()
        undo = self.fault.plan(where)
        self.fault.inject(where, undo)
        type(self.fault).undo(undo, where.platform)
        assert type(self.fault).undone(undo, where.platform) == "postgres is not back in bs-r1-pg-1"
        type(self.fault).escalate(undo, where.platform)
        assert where.platform.log[-2:] == ["exited bs-r1-pg-1", "running bs-r1-pg-1"]
        assert type(self.fault).undone(undo, where.platform) is None

    def test_it_refuses_pid_1_and_names_the_processes_there_are(self) -> None:
        where = site()
        with pytest.raises(InjectionError, match="PID 1"):
            kill("pg-1", process="tini").plan(where)
        with pytest.raises(InjectionError, match="it has: patroni, postgres, tini"):
            kill("pg-1", process="mysqld").plan(where)
        assert where.platform.log == []

    def test_a_process_that_left_by_itself_was_not_killed(self) -> None:
        where = site()
        undo = self.fault.plan(where)
        where.platform.processes["bs-r1-pg-1"]["postgres"] = []
        with pytest.raises(InjectionError, match="any more"):
            self.fault.inject(where, undo)


def test_killing_a_container_is_undone_by_starting_it() -> None:
    where, fault = site(), kill("app-1")
    undo = fault.plan(where)
    with pytest.raises(BiteError, match="still runs"):
        fault.bite(where, undo)
    fault.inject(where, undo)
    assert fault.bite(where, undo) == "bs-r1-app-1 is down"
    assert type(fault).undone(undo, where.platform) == "bs-r1-app-1 is down"
    for _ in range(2):
        type(fault).undo(undo, where.platform)
    assert where.platform.log == ["exited bs-r1-app-1", "running bs-r1-app-1"]
    assert type(fault).undone(undo, where.platform) is None
    where.platform.kill("bs-r1-app-1")
    with pytest.raises(InjectionError, match="nothing to kill"):
        fault.plan(where)


def test_a_freeze_is_undone_by_letting_go_on() -> None:
    where, fault = site(), freeze("postgres")
    undo = fault.plan(where)
    with pytest.raises(BiteError):
        fault.bite(where, undo)
    fault.inject(where, undo)
    assert fault.bite(where, undo) == "paused: bs-r1-pg-1, bs-r1-pg-2"
    with pytest.raises(InjectionError, match="already"):
        fault.plan(where)
    where.platform.unpause("bs-r1-pg-2")
    assert type(fault).undone(undo, where.platform) == "still paused: bs-r1-pg-1"
    for _ in range(2):
        type(fault).undo(undo, where.platform)
    assert type(fault).undone(undo, where.platform) is None


class TestSwitchover:
    fault = switchover()

    def test_it_asks_the_leader_and_bites_when_another_leads(self) -> None:
        where = site()
        undo = self.fault.plan(where)
        with Misbehaving(lambda *_: (200, "Successfully switched over")) as patroni:
            where.urls["pg-1"] = patroni.url
            self.fault.inject(where, undo)
        assert patroni.seen == ["POST /switchover"]
        with pytest.raises(BiteError, match="pg-1 still leads"):
            self.fault.bite(where, undo)
        roles = FixedRoles({"pg-1": "replica", "pg-2": "primary"})
        where.stack = replace(where.stack, roles={"postgres": roles})
        assert self.fault.bite(where, undo) == "primary was pg-1, is pg-2"

    def test_a_refusal_is_shown_in_patronis_words(self) -> None:
        where = site()
        undo = self.fault.plan(where)
        with (
            Misbehaving(lambda *_: (412, "no good candidates")) as patroni,
            pytest.raises(InjectionError, match="412: no good candidates"),
        ):
            where.urls["pg-1"] = patroni.url
            self.fault.inject(where, undo)

    @pytest.mark.parametrize("roles", [{"pg_1": "replica"}, {"pg_1": "primary", "pg_2": "primary"}])
    def test_it_needs_exactly_one_primary(self, roles: dict[str, str]) -> None:
        with pytest.raises(InjectionError, match="exactly one primary"):
            self.fault.plan(site(**roles))

    @pytest.mark.parametrize(
        ("state", "wrong"), [("running", None), ("starting", "no running leader"), (None, "does not tell")]
    )
    def test_it_is_over_when_the_cluster_has_a_running_leader(
        self, state: str | None, wrong: str | None
    ) -> None:
        where = site()
        undo = self.fault.plan(where)
        members = [{"name": "pg-2", "role": "leader", "state": state}]
        body = json.dumps({"members": members}) if state else "{}"
        with Misbehaving(lambda *_: (200, body)) as patroni:
            where.platform.host_ports = {8008: int(patroni.url.rsplit(":", 1)[1])}
            seen = type(self.fault).undone(undo, where.platform)
        assert seen is None if wrong is None else wrong in str(seen)


@pytest.mark.parametrize(
    "fault",
    [secret_revoked("app-1", role="x"), cache_flushed("app-1"), rows_deleted("app-1", "t")],
    ids=lambda f: f.kind,
)
def test_what_is_no_database_is_not_struck_as_one(fault: Fault) -> None:
    with pytest.raises(ConfigError, match=r"app-1 plays no '(postgres|redis)'; who does: pg-1, pg-2"):
        fault.validate(stack())
