"""Resources run out on real containers: clients feel it, and no more once it is undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg
import pytest
import requests

from blackstart.faults import (
    Fault,
    clock_drift,
    cpu_hog,
    cpu_throttle,
    disk_full,
    edge_flapping,
    fds_exhausted,
    memory_hog,
    postgres_connections,
    redis_connections,
)
from blackstart.model.errors import ConfigError, InjectionError
from blackstart.platforms.capabilities import ExecResult
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.fakes import site, stack
from tests.faults.force import ends_in_place, in_force

WORK = 1_500_000


@pytest.fixture
def mended(small: RunningStack) -> Iterator[RunningStack]:
    """The small stack; as new again afterwards."""
    yield small
    reset(small, "30s")


def work_s(running: RunningStack, instance: str) -> float:
    """Seconds that a request takes which keeps a processor busy: the quickest of three."""

    def once() -> float:
        answer = requests.get(running.url(instance, "http", f"/work/{WORK}"), timeout=30)
        return float(answer.json()["seconds"])

    return min(once() for _ in range(3))


def write(running: RunningStack, size: int = 1) -> requests.Response:
    body = {"key": "disk", "id": "x" * size}
    return requests.post(running.url("web-1", "http", "/write"), json=body, timeout=5)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: cpu_throttle("app-1", cpus=0), "0.01 to 64"),
        (lambda: cpu_hog("app-1", workers=0), "1 to 256"),
        (lambda: disk_full("app-1").validate(stack()), "not exactly one disk; declared: none"),
        (lambda: disk_full("app-1", path="/data").validate(stack()), "no disk '/data'; declared: none"),
        (
            lambda: fds_exhausted("pg-1", "postgres").validate(stack()),
            "one port; declared: postgres, patroni",
        ),
        (lambda: fds_exhausted("pg-1", "x", port="ssh").validate(stack()), "no port 'ssh'"),
        (lambda: redis_connections("app-1", port=0), "1 to 65535"),
        (lambda: cpu_hog("app-2").validate(stack()), "instances: pg-1, pg-2, app-1"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(make: object, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("fault", [cpu_throttle("app-1"), cpu_hog("app-1"), memory_hog("app-1")])
def test_nothing_is_planned_for_a_container_that_is_down(fault: Fault) -> None:
    where = site()
    where.platform.kill("bs-r1-app-1")
    with pytest.raises(InjectionError, match="bs-r1-app-1 is down"):
        fault.plan(where)


def test_a_throttle_gives_back_the_limit_that_was_there_before() -> None:
    where = site()
    where.platform.cpus["bs-r1-app-1"] = 1.5
    undo = cpu_throttle("app-1", cpus=0.5).plan(where)
    cpu_throttle("app-1", cpus=0.5).inject(where, undo)
    assert where.platform.cpus["bs-r1-app-1"] == 0.5
    cpu_throttle("app-1").undo(undo, where.platform)
    assert where.platform.cpus["bs-r1-app-1"] == 1.5
    assert undo.manual == "docker update --cpu-quota 150000 bs-r1-app-1"


def test_a_throttle_that_is_no_limit_there_is_refused() -> None:
    where = site()
    cpu_throttle("app-1", cpus=1.5).plan(where)
    with pytest.raises(InjectionError, match=r"cpus=2 is no limit where there are 2"):
        cpu_throttle("app-1", cpus=2).plan(where)


def test_what_takes_long_to_show_has_the_time_for_it() -> None:
    assert clock_drift("app-1", rate=0.002).bite_limit == pytest.approx(30)
    assert clock_drift("app-1", rate=-1).bite_limit == pytest.approx(5.05)
    with pytest.raises(ConfigError, match=r"0\.002 and more"):
        clock_drift("app-1", rate=1e-3)
    assert edge_flapping("app-1", "pg-1", down="200ms", up="10s").bite_limit > 20


@pytest.mark.parametrize("fault", [memory_hog("app-1"), disk_full("app-1")], ids=lambda f: f.kind)
def test_a_host_without_the_memory_for_it_is_not_filled(fault: Fault) -> None:
    """The fault would use 1 GiB less 1 MiB."""
    where, free_mib = site(), 1278
    app = replace(where.stack.instance("app-1"), disks={"/data": "1g"})
    where.stack = where.stack.with_instances(app)
    where.platform.state[where.keeper] = "running"

    def answer(name: str, cmd: Sequence[str]) -> ExecResult:
        if "MemAvailable" in cmd[2]:
            return ExecResult(0, str(free_mib << 10))
        return ExecResult(0, f"{1 << 30}\n{1 << 20}" if "memory.max" in cmd[2] else str(1023 << 10))

    where.platform.answer = answer
    with pytest.raises(InjectionError, match="would use 1023 MiB, and the host has 1278 MiB free"):
        fault.plan(where)
    free_mib = 1279
    assert fault.plan(where).kind == fault.kind


@pytest.mark.integration
def test_a_throttle_of_more_than_one_processor_bites(mended: RunningStack) -> None:
    with in_force(cpu_throttle("web-1", cpus=1.2), mended) as bite:
        assert "throttled in" in bite


@pytest.mark.integration
def test_an_edge_that_is_down_for_moments_only_is_seen_to_be(mended: RunningStack) -> None:
    with in_force(edge_flapping("web-1", "store-1", down="200ms", up="6s"), mended) as bite:
        assert "seen down: web-1 -> store-1:6379" in bite


@pytest.mark.integration
def test_under_a_throttle_work_takes_as_much_longer_as_asked(mended: RunningStack) -> None:
    before = work_s(mended, "web-1")
    with in_force(cpu_throttle("web-1", cpus=0.2), mended) as bite:
        assert "throttled in" in bite
        slowed, other = work_s(mended, "web-1"), work_s(mended, "web-2")
    # A fifth of a processor; a period's share may be used at once, so short work is slowed less.
    after = work_s(mended, "web-1")
    assert 2.5 * min(before, after) < slowed < 9 * max(before, after)
    assert other < slowed / 1.5, "the other replica keeps its processor"
    assert after < slowed / 1.5


@pytest.mark.integration
def test_a_hog_takes_processor_time_from_its_service(mended: RunningStack) -> None:
    before = work_s(mended, "web-1")
    with in_force(cpu_hog("web-1", workers=8), mended) as bite:
        assert "busy loops use" in bite
        hogged = work_s(mended, "web-1")
    assert hogged > 1.8 * min(before, work_s(mended, "web-1"))


@pytest.mark.integration
def test_a_memory_hog_is_itself_what_the_kernel_kills(mended: RunningStack) -> None:
    pids = mended.platform.pids(mended.container("web-1"), "web")
    fault = memory_hog("web-1")
    undo = fault.plan(mended)
    fault.inject(mended, undo)
    wait_until("the kill", lambda: None if "OOM kills" in fault.bite(mended, undo) else "", limit=10)
    assert mended.platform.pids(mended.container("web-1"), "web") == pids, "the service is smaller"
    assert requests.get(mended.url("web-1", "http", "/health/ready"), timeout=5).status_code == 200
    wait_until("it is over", lambda: memory_hog("web-1").undone(undo, mended.platform), limit=5)


@pytest.mark.integration
def test_a_victim_of_a_memory_hog_dies_first_and_comes_back(mended: RunningStack) -> None:
    def answers() -> str | None:
        try:
            answer = requests.get(mended.url("web-1", "http", "/health/live"), timeout=2)
        except requests.RequestException as error:
            return str(error)
        return None if answer.status_code == 200 else str(answer.status_code)

    with in_force(memory_hog("web-1", victim="web"), mended) as bite:
        assert "OOM kill" in bite
        assert answers() is not None
    wait_until("web-1 answers", answers, limit=10)


@pytest.mark.integration
def test_on_a_full_disk_a_store_that_keeps_every_write_ends_and_has_them_all_afterwards(
    mended: RunningStack,
) -> None:
    mended.exec("store-1", ["redis-cli", "del", "disk"])
    assert write(mended).status_code == 200
    with in_force(disk_full("store"), mended) as bite:
        assert bite == f"{mended.container('store-1')}: no space left on /data"
        # The append-only file of the store may have a little room in its last page.
        seen = [write(mended, 100_000).status_code for _ in range(3)]
        assert seen[-1] == 503
    wait_until("writes succeed", lambda: None if write(mended).status_code == 200 else "no", limit=10)
    read = requests.get(mended.url("web-1", "http", "/read/disk"), timeout=5).json()
    assert [len(i) for i in read["ids"]] == [1, *(100_000 for code in seen if code == 200), 1]


@pytest.mark.integration
def test_a_disk_outlives_its_service(mended: RunningStack) -> None:
    where = mended.container("store-1")
    mended.platform.exec(where, ["sh", "-c", "echo kept >/data/kept"])
    mended.platform.kill(where)
    mended.platform.start(where)
    assert mended.platform.exec(where, ["cat", "/data/kept"]).output == "kept\n"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("target", "process"), [("store-1", "redis-server"), ("web-1", "web")], ids=["own-user", "root"]
)
def test_without_descriptors_new_connections_wait(mended: RunningStack, target: str, process: str) -> None:
    def ready() -> str | None:
        try:
            url = mended.url("web-1", "http", "/health/ready")
            return None if requests.get(url, timeout=1.5).status_code == 200 else "not ready"
        except requests.RequestException as error:
            return str(error)

    with in_force(fds_exhausted(target, process), mended) as bite:
        assert "accepts no connection" in bite
        assert ready() is not None
    wait_until("web-1 is ready", ready, limit=5)


@pytest.mark.integration
def test_a_redis_without_connections_refuses_the_next(mended: RunningStack) -> None:
    mended.exec("store-1", ["redis-cli", "config", "set", "maxclients", "50"])
    with in_force(redis_connections("store"), mended):
        answer = requests.get(mended.url("web-1", "http", "/health/ready"), timeout=5)
        assert (answer.status_code, "max number of clients" in answer.text) == (503, True)
    assert requests.get(mended.url("web-1", "http", "/health/ready"), timeout=5).status_code == 200


@pytest.mark.integration
@pytest.mark.parametrize(
    ("user", "superuser"), [("postgres", "refused"), ("app", "welcome")], ids=["superuser", "user"]
)
def test_a_postgres_without_connections_refuses_the_next(
    database: RunningStack, user: str, superuser: str
) -> None:
    def connect(user: str) -> str:
        try:
            with psycopg.connect(dsn(database, user), connect_timeout=2):
                return "welcome"
        except psycopg.OperationalError as error:
            assert "too many clients" in str(error) or "reserved for roles" in str(error)
            return "refused"

    assert connect("app") == "welcome"
    with in_force(postgres_connections("db", user=user), database):
        assert connect("app") == "refused"
        told = database.exec("db-1", ["psql", "-U", "postgres", "-c", "SELECT 1"])
        assert ("welcome" if told.code == 0 else "refused") == superuser
    assert connect("app") == "welcome"


def dsn(running: RunningStack, user: str) -> str:
    """How a client connects to the small database."""
    host, port = running.address("db-1", "postgres")
    return f"host={host} port={port} user={user} password=sample dbname=postgres"


@pytest.mark.integration
@pytest.mark.parametrize(
    "fault",
    [cpu_hog("web", workers=1), disk_full("store"), fds_exhausted("web-1", "web")],
    ids=lambda f: f.kind,
)
def test_one_that_nobody_undoes_ends_in_place(mended: RunningStack, fault: Fault) -> None:
    ends_in_place(fault, mended)
