"""What "steady" means for the sample stack beyond each instance being ready: None, or what is wrong."""

from __future__ import annotations

import csv
import math
import uuid
from typing import TYPE_CHECKING, Any

import requests
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from blackstart.model.errors import PlatformError, SteadyStateError
from blackstart.platforms.waiting import wait_until
from sut.certificates import front_url, trusted
from sut.load import token
from sut.settings import (
    APPS,
    ETCD,
    FRONTS,
    JOB_GROUP,
    JOB_STREAM,
    POSTGRES,
    REDIS,
    REDIS_MASTER,
    SENTINELS,
    WORKERS,
)

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

_TIMEOUT = 2.0
_READS_WITHIN_MS = 5000
#: Values of the metric `app_breaker_state`; an open breaker is 2.
_CLOSED, _HALF_OPEN = 0, 1


def get(url: str) -> requests.Response:
    """A GET on a connection of its own; raises requests.RequestException, also for 4xx and 5xx."""
    answer = requests.get(url, timeout=_TIMEOUT, headers={"Connection": "close"})
    answer.raise_for_status()
    return answer


def postgres(running: RunningStack) -> str | None:
    """Patroni: one leader that runs, the other streams on its timeline, synchronous unless switched off."""
    cluster = get(running.url(POSTGRES[0], "patroni", "/cluster")).json()
    config = get(running.url(POSTGRES[0], "patroni", "/config")).json()
    members: dict[str, dict[str, Any]] = {m["name"]: m for m in cluster["members"]}
    shown = ", ".join(f"{n} {m.get('role')} {m.get('state')}" for n, m in members.items())
    leaders = [m for m in members.values() if m["role"] == "leader" and m["state"] == "running"]
    if set(members) != set(POSTGRES) or len(leaders) != 1:
        return shown
    standby = "sync_standby" if config.get("synchronous_mode") else "replica"
    for member in members.values():
        if member is leaders[0]:
            continue
        if member["role"] != standby or member["state"] != "streaming":
            return shown
        if member["timeline"] != leaders[0]["timeline"]:
            return f"{shown}; timelines {member['timeline']} and {leaders[0]['timeline']}"
    return None


def etcd_leader(running: RunningStack) -> str | None:
    """The etcd member that leads, by its own word; None while none does."""
    for name in ETCD:
        try:
            status = requests.post(running.url(name, "client", "/v3/maintenance/status"), json={}, timeout=1)
            told = status.json()
        except (requests.RequestException, ValueError):
            continue
        if told.get("leader", "0") == told.get("header", {}).get("member_id"):
            return name
    return None


def ask_postgres(
    running: RunningStack, instance: str, query: str, database: str = "postgres", timeout: float = 5
) -> str:
    """The rows of `query` as psql prints them bare, asked inside `instance`. Raises PlatformError."""
    command = ["psql", "-U", "postgres", "-h", "/var/run/postgresql", "-d", database, "-AtX", "-c", query]
    result = running.exec(instance, command, timeout=timeout)
    if result.code != 0:
        raise PlatformError(f"{instance}: psql: {result.output.strip()}")
    return result.output.strip()


def database_proxy(running: RunningStack) -> str | None:
    """The database proxy has exactly one server up for writes, and one for reads."""
    up = servers_up(running, "pgproxy-1")
    wanted = {"primary": 1, "replica": len(POSTGRES) - 1}
    return None if {b: len(up.get(b, [])) for b in wanted} == wanted else f"up: {up}"


def front(running: RunningStack) -> str | None:
    """Each front has every app replica up."""
    for name in FRONTS:
        up = servers_up(running, name).get("app", [])
        if sorted(up) != sorted(APPS):
            return f"{name} has up: {', '.join(up) or 'none'}"
    return None


def full_shares(running: RunningStack) -> str | None:
    """Each front gives every app replica its full share: none is down (checked or not) or starts slowly."""
    for name in FRONTS:
        rows = [row for row in _servers(running, name) if row["pxname"] == "app"]
        if len(rows) != len(APPS) or any(row["status"].startswith("DOWN") for row in rows):
            return f"{name} has {[row['status'] for row in rows]}"
        if len({row["weight"] for row in rows}) > 1:
            return f"{name} gives {[row['weight'] for row in rows]}"
    return None


def servers_up(running: RunningStack, instance: str) -> dict[str, list[str]]:
    """By section of that HAProxy, the servers that its checks find well."""
    up: dict[str, list[str]] = {}
    for row in _servers(running, instance):
        if row["status"].split()[0] == "UP":
            up.setdefault(row["pxname"], []).append(row["svname"])
    return up


def _servers(running: RunningStack, instance: str) -> list[dict[str, str]]:
    text = get(running.url(instance, "stats", "/stats;csv")).text
    rows = csv.DictReader(text.removeprefix("# ").splitlines())
    return [row for row in rows if row["svname"] not in ("FRONTEND", "BACKEND")]


def redis(running: RunningStack) -> str | None:
    """Every Sentinel names the same primary, knows its peers and the replica, and the replica is in step."""
    named = set()
    for name in SENTINELS:
        with connect_redis(running, name, "sentinel") as client:
            master: dict[str, Any] = client.sentinel_master(REDIS_MASTER)
            tilt = client.info("sentinel")["sentinel_tilt"]
        if tilt:
            return f"{name} is in TILT and would not act"
        if master["is_odown"] or master["is_sdown"] or not master["is_master"]:
            return f"{name} says that the primary is {master['flags']}"
        if master["num-other-sentinels"] != len(SENTINELS) - 1:
            return f"{name} knows {master['num-other-sentinels']} other Sentinels"
        if master["num-slaves"] < len(REDIS) - 1:
            return f"{name} knows {master['num-slaves']} replicas"
        named.add(str(master["ip"]))
    if len(named) != 1:
        return f"the Sentinels name {', '.join(sorted(named))}"
    primary = named.pop()
    if primary not in REDIS:
        return f"the Sentinels name {primary}"
    for name in REDIS:
        with connect_redis(running, name, "redis") as client:
            info = client.info("replication")
        if name == primary:
            if info["role"] != "master" or info["connected_slaves"] != len(REDIS) - 1:
                return f"{name} is {info['role']} with {info['connected_slaves']} replicas"
        elif info["role"] != "slave" or info["master_link_status"] != "up":
            return f"{name} is {info['role']}, its link is {info.get('master_link_status')}"
    return None


def connect_redis(running: RunningStack, instance: str, port: str) -> Redis:
    """A client of a Redis or Sentinel that tries once, each step for at most 2 s."""
    host, number = running.address(instance, port)
    return Redis(
        host=host,
        port=number,
        socket_timeout=_TIMEOUT,
        socket_connect_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def breakers(running: RunningStack) -> str | None:
    """Every breaker of every app replica and worker is closed; one that waits for a call gets one."""
    open_ones = []
    for name in (*APPS, *WORKERS):
        states = [
            (line, float(line.rsplit(" ", 1)[1]))
            for line in get(running.url(name, "http", "/metrics")).text.splitlines()
            if line.startswith("app_breaker_state{")
        ]
        open_ones += [f"{name} {line}" for line, state in states if state != _CLOSED]
        # Without load nobody else would make the call that closes it.
        if name in APPS and any(state == _HALF_OPEN for _, state in states):
            _ask(running.url(name, "http", "/chat"))
    return "; ".join(open_ones) or None


def chat(running: RunningStack) -> str | None:
    """Through each front a new question is answered, with an empty set of degradations."""
    for name in FRONTS:
        answer = _ask(front_url(running, name, "/chat"), trusted(running.run_id))
        if answer.status_code != 200:
            return f"{name}: POST /chat answers {answer.status_code}: {answer.text[:200]}"
        if degraded := answer.json()["degraded"]:
            return f"{name}: degraded: {', '.join(degraded)}"
    return None


def _ask(url: str, authority: str | None = None) -> requests.Response:
    once = str(uuid.uuid4())
    return requests.post(
        url,
        json={"session": f"steady-{once}", "message": f"Is all well? ({once})"},
        headers={
            "Authorization": f"Bearer {token()}",
            "Idempotency-Key": once,
            "Connection": "close",
        },
        timeout=5,
        verify=authority,
    )


def jobs(running: RunningStack) -> str | None:
    """Every worker reads from the group, and a new job, accepted at a front, is done within 3 s."""
    primary = running.resolve("redis.primary")[0].name
    with connect_redis(running, primary, "redis") as client:
        idle_ms = {str(c["name"]): int(c["idle"]) for c in client.xinfo_consumers(JOB_STREAM, JOB_GROUP)}
    # A group knows its consumers for ever; `idle` is since the last attempt to read, which is twice a second.
    if away := [name for name in WORKERS if idle_ms.get(name, math.inf) > _READS_WITHIN_MS]:
        return f"not reading from the consumer group: {', '.join(away)}"
    return job_done(running)


def job_done(running: RunningStack) -> str | None:
    """A new job, accepted at a front, is done within 3 s, whoever does it."""
    once = f"steady-{uuid.uuid4()}"
    # A user of its own: the load's closing reads wait until their user's last job is some seconds old.
    bearer = {"Authorization": f"Bearer {token('steady')}", "Connection": "close"}
    url, ca = front_url(running, FRONTS[0], "/jobs"), trusted(running.run_id)
    answer = requests.post(
        url,
        json={"input": f"Is all well? ({once})"},
        headers={**bearer, "Idempotency-Key": once},
        timeout=5,
        verify=ca,
    )
    if answer.status_code != 202:
        return f"POST /jobs answers {answer.status_code}: {answer.text[:200]}"

    def undone() -> str | None:
        found = requests.get(f"{url}/{once}", headers=bearer, timeout=_TIMEOUT, verify=ca)
        found.raise_for_status()
        status = found.json()["status"]
        return None if status == "done" else f"it is {status}"

    wait_until("the end of a job", undone, limit="3s", every=0.1, error=SteadyStateError)
    return None
