"""Settings, addresses and tokens."""

from __future__ import annotations

import re
import time
from pathlib import Path

import jwt
import pytest

from sut.app.service.cache import DISCOVERY
from sut.app.service.config import Settings
from sut.app.service.main import listen_addresses
from sut.app.service.stream import GROUP, STREAM
from sut.load import token
from sut.settings import APP_PASSWORD, JOB_GROUP, JOB_STREAM

RUNBOOK = Path(__file__).parents[2] / "runbooks" / "postgres-primary-down.md"


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_env(
        {"NODE_NAME": "app-2", "JWT_SECRET": "x", "REDIS_SENTINELS": "sentinel-1:26379, sentinel-2:26380"}
    )
    assert settings.node == "app-2"
    assert settings.redis_sentinels == (("sentinel-1", 26379), ("sentinel-2", 26380))
    assert settings.retrieval_dsn == settings.database_url


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, "JWT_SECRET"),
        ({"JWT_SECRET": "x", "REDIS_SENTINELS": "sentinel-1"}, "REDIS_SENTINELS"),
        ({"JWT_SECRET": "x", "PORT": "http"}, "PORT"),
        ({"JWT_SECRET": "x", "USER_RATE": "0"}, "USER_RATE"),
        ({"JWT_SECRET": "x", "SESSION_BUDGET_USD": "much"}, "SESSION_BUDGET_USD"),
        ({"JWT_SECRET": "x", "LLM_PRICE": "2.5"}, "LLM_PRICE"),
        ({"JWT_SECRET": "x", "ROLE": "waiter"}, "ROLE"),
        ({"JWT_SECRET": "x", "WITHOUT": "luck"}, "WITHOUT"),
    ],
)
def test_a_wrong_setting_is_named(env: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Settings.from_env(env)


def test_secrets_are_not_shown() -> None:
    settings = Settings(jwt_secret="hush", database_url="postgresql://app:hush@db/app")
    assert "hush" not in repr(settings)


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
    assert (settings.pool_size, settings.documents_pool_size) == (6, 2)


def test_the_runbook_knows_the_apps_password() -> None:
    assert re.findall(r"user=app password=(\S+)", RUNBOOK.read_text()) == [APP_PASSWORD]


def test_a_live_worker_keeps_its_lease_and_a_dead_ones_jobs_are_another_workers_soon() -> None:
    settings = Settings()
    longest_work = 2 * settings.llm_timeout + settings.embed_timeout + 2 * settings.retrieve_timeout
    longest_work += settings.tool_timeout
    assert longest_work < settings.job_lease < settings.job_lease + settings.job_republish <= 10


def test_the_stack_and_the_service_agree_on_the_stream() -> None:
    assert (JOB_STREAM, JOB_GROUP) == (STREAM, GROUP)
