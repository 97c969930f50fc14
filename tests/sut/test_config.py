"""Settings, addresses and tokens."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from psycopg.conninfo import conninfo_to_dict
from redis.asyncio.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from sut.app.service.cache import DISCOVERY, connect
from sut.app.service.config import Settings
from sut.app.service.main import listen_addresses
from sut.app.service.stream import GROUP, STREAM
from sut.load import token
from sut.settings import APP_PASSWORD, JOB_GROUP, JOB_STREAM

RUNBOOK = Path(__file__).parents[2] / "runbooks" / "postgres-primary-down.md"


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_env(
        {
            "NODE_NAME": "app-2",
            "JWT_SECRET": "x" * 32,
            "REDIS_SENTINELS": "sentinel-1:26379, sentinel-2:26380",
        }
    )
    assert settings.node == "app-2"
    assert settings.redis_sentinels == (("sentinel-1", 26379), ("sentinel-2", 26380))
    assert settings.retrieval_dsn == settings.database_url


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, "JWT_SECRET"),
        ({"JWT_SECRET": "too short"}, "JWT_SECRET"),
        ({"JWT_SECRET": "x" * 32, "REDIS_SENTINELS": "sentinel-1"}, "REDIS_SENTINELS"),
        ({"JWT_SECRET": "x" * 32, "PORT": "http"}, "PORT"),
        ({"JWT_SECRET": "x" * 32, "USER_RATE": "0"}, "USER_RATE"),
        ({"JWT_SECRET": "x" * 32, "SESSION_BUDGET_USD": "much"}, "SESSION_BUDGET_USD"),
        ({"JWT_SECRET": "x" * 32, "LLM_PRICE": "2.5"}, "LLM_PRICE"),
        ({"JWT_SECRET": "x" * 32, "KEEP_SECONDS": "0"}, "KEEP_SECONDS"),
        ({"JWT_SECRET": "x" * 32, "ROLE": "waiter"}, "ROLE"),
        ({"JWT_SECRET": "x" * 32, "WITHOUT": "luck"}, "WITHOUT"),
    ],
)
def test_a_wrong_setting_is_named(env: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Settings.from_env(env)


def test_secrets_are_not_shown() -> None:
    settings = Settings(jwt_secret="hush", database_url="postgresql://app:hush@db/app")
    assert "hush" not in repr(settings)


def test_with_an_authority_postgres_and_redis_are_spoken_to_in_tls_and_verified() -> None:
    plain = Settings(jwt_secret="x" * 32, database_url="postgresql://app@pgproxy-1:5000/app")
    assert (plain.database_dsn(), plain.redis_tls) == (plain.database_url, {})
    given = replace(plain, tls_ca="PEM", secrets_dir="/secrets")
    known = conninfo_to_dict(given.database_dsn())
    assert (known["host"], known["sslmode"], known["sslrootcert"]) == (
        "pgproxy-1",
        "verify-full",
        "/secrets/tls-ca",
    )
    assert given.redis_tls == {"ssl": True, "ssl_ca_certs": "/secrets/tls-ca", "ssl_check_hostname": True}
    lax = replace(given, without=frozenset({"certificate-check"}))
    known = conninfo_to_dict(lax.database_dsn())
    # libpq would verify the chain after all, were it given an authority.
    assert (known["sslmode"], "sslrootcert" in known) == ("require", False)
    assert lax.redis_tls["ssl_cert_reqs"] == "none"


def test_redis_is_found_through_its_sentinels_and_reached_at_the_port_of_tls() -> None:
    settings = Settings(redis_sentinels=(("sentinel-1", 26379),), tls_ca="PEM", secrets_dir="/secrets")
    pool = connect(settings, 0.1).connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert pool.connection_class is SentinelManagedSSLConnection
    sentinel = pool.sentinel_manager

    class Known:
        async def sentinel_masters(self) -> dict[str, dict[str, object]]:
            master = {"is_master": True, "is_sdown": False, "is_odown": False, "num-other-sentinels": 2}
            return {"cache": {**master, "ip": "redis-1", "port": 6379}}

    sentinel.sentinels = [Known()]
    assert asyncio.run(sentinel.discover_master("cache")) == ("redis-1", 6380)
    plain = connect(replace(settings, tls_ca=""), 0.1).connection_pool
    assert isinstance(plain, SentinelConnectionPool)
    assert plain.connection_class is SentinelManagedConnection


def test_the_wildcard_is_never_listened_on() -> None:
    assert listen_addresses("no-such-host.invalid") == ["127.0.0.1"]


def test_a_token_says_who_and_until_when() -> None:
    secret = "a secret of at least thirty-two bytes"
    claims = jwt.decode(token("ann", 60, secret), secret, algorithms=["HS256"])
    assert claims["sub"] == "ann"
    assert 0 < claims["exp"] - time.time() <= 60


def test_a_turn_whose_every_step_is_as_slow_as_it_may_be_meets_its_deadline() -> None:
    settings = Settings()
    steps = {
        "cache, asked and filled": 2 * DISCOVERY * settings.cache_timeout,
        "the question's vector": settings.embed_timeout,
        "documents, from the standby and then the primary": 2 * settings.retrieve_timeout,
        "the search tool": settings.tool_timeout,
        "both models": 2 * settings.llm_timeout,
        "the turn's dozen statements, each on a healthy server": 0.5,
    }
    assert sum(steps.values()) <= settings.request_deadline, steps


def test_a_replica_opens_few_connections() -> None:
    settings = Settings()
    assert (settings.pool_size, settings.documents_pool_size) == (4, 2)


def test_the_runbook_knows_the_apps_password() -> None:
    assert re.findall(r"user=app password=(\S+)", RUNBOOK.read_text()) == [APP_PASSWORD]


def test_a_live_worker_keeps_its_lease_and_a_dead_ones_jobs_are_another_workers_soon() -> None:
    settings = Settings()
    longest_work = 2 * settings.llm_timeout + settings.embed_timeout + 2 * settings.retrieve_timeout
    longest_work += settings.tool_timeout
    assert longest_work < settings.job_lease < settings.job_lease + settings.job_republish <= 10


def test_the_stack_and_the_service_agree_on_the_stream() -> None:
    assert (JOB_STREAM, JOB_GROUP) == (STREAM, GROUP)
