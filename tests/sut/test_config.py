"""Settings, addresses and tokens."""

from __future__ import annotations

import jwt
import pytest

from sut.app.service.config import Settings
from sut.app.service.main import listen_addresses
from sut.tokens import mint


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
    claims = jwt.decode(mint(secret, "ann", 60), secret, algorithms=["HS256"])
    assert claims["sub"] == "ann"
    assert claims["exp"] - claims["iat"] == 60
