"""Secrets in files: planted once, read again when they change; and none of them in a log."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from sut.app.service import main
from sut.app.service.config import Settings
from sut.app.service.logs import JsonFormatter
from sut.app.service.secretfiles import DATABASE_PASSWORD, JWT_KEYS, SecretFile, Secrets, plant

KEY = "a secret of at least thirty-two bytes"
CONTENT = "c2FtcGxlLWNvbnRlbnQta2V5LW9mLTMyLWJ5dGVzISE="


def replace_file(path: Path, text: str) -> None:
    """As an orchestrator does: another file, renamed."""
    (path.parent / "new").write_text(text)
    (path.parent / "new").rename(path)


def test_planted_files_are_for_their_user_alone_and_keep_what_was_rotated(tmp_path: Path) -> None:
    plant(tmp_path, {"a": "one"})
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    replace_file(tmp_path / "a", "two")
    plant(tmp_path, {"a": "one"})
    assert (tmp_path / "a").read_text() == "two"


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    read: list[str] = []

    def parse(text: str) -> str:
        read.append(text)
        return text

    path = tmp_path / "a"
    path.write_text("one")
    file = SecretFile(path, parse, "none")
    assert [file.get(), file.get()] == ["one", "one"]
    replace_file(path, "two")
    assert [file.get(), file.get()] == ["two", "two"]
    path.unlink()
    assert file.get() == "two"
    assert read == ["one", "two"]


def test_the_control_reads_it_once(tmp_path: Path) -> None:
    plant(tmp_path, {DATABASE_PASSWORD: "old"})
    settings = Settings(secrets_dir=str(tmp_path), without=frozenset({"secret-reload"}))
    assert settings.secrets.database_password() == "old"
    replace_file(tmp_path / DATABASE_PASSWORD, "new")
    assert settings.secrets.database_password() == "old"


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '"x"', '{"k1": "short"}', '{"k1": 1}', '{"k1": null}', "not JSON"]
)
def test_nonsense_does_not_become_a_key(tmp_path: Path, text: str) -> None:
    (tmp_path / JWT_KEYS).write_text(text)
    assert Secrets(str(tmp_path), jwt_secret=KEY).jwt_keys() == {"k1": KEY}
    assert Secrets(str(tmp_path)).jwt_keys() == {}
    assert Secrets(jwt_secret=json.dumps({"k2": KEY})).jwt_keys() == {"k2": KEY}


@pytest.mark.parametrize("text", ["short", "é" * 15, '{"k1": "short"}'])
def test_no_process_starts_with_a_key_that_can_be_guessed(text: str) -> None:
    with pytest.raises(ValueError, match="shorter than 32 bytes"):
        Secrets(jwt_secret=text)


def test_a_new_connection_uses_the_password_of_now(tmp_path: Path) -> None:
    settings = Settings(secrets_dir=str(tmp_path), database_url="postgresql://app:first@db:5000/app")

    def password() -> object:
        return conninfo_to_dict(settings.database_dsn())["password"]

    assert password() == "first"
    replace_file(tmp_path / DATABASE_PASSWORD, "it's new\n")
    assert password() == "it's new"
    assert conninfo_to_dict(settings.database_dsn())["host"] == "db"
    other = settings.database_dsn("postgresql://app:first@standby/app")
    assert conninfo_to_dict(other)["host"] == "standby"


def test_a_process_moves_its_secrets_into_files_and_out_of_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "JWT_SECRET": KEY,
        "CONTENT_KEYS": CONTENT,
        "DATABASE_URL": "postgresql://app:first@db/app",
        "SECRETS_DIR": str(tmp_path),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_env(os.environ)
    main._take_secrets(settings)
    assert json.loads((tmp_path / JWT_KEYS).read_text()) == {"k1": KEY}
    assert (tmp_path / DATABASE_PASSWORD).read_text() == "first"
    assert settings.box.seals
    assert not {"JWT_SECRET", "CONTENT_KEYS", "DATABASE_URL"} & set(os.environ)


def test_a_process_does_not_store_content_unsealed_by_oversight() -> None:
    with pytest.raises(ValueError, match="CONTENT_KEYS"):
        main._take_secrets(Settings(jwt_secret=KEY))


def test_neither_an_errors_words_nor_a_secret_get_into_a_log() -> None:
    formatter = JsonFormatter("app-1", lambda: ("hush", ""))
    words = "private words"
    try:
        try:
            raise ValueError(words)
        except ValueError as cause:
            raise RuntimeError(words) from cause
    except RuntimeError:
        info = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "connecting by hush %s", ("hush",), info)
    line = formatter.format(record)
    assert words not in line
    assert "hush" not in line
    assert json.loads(line)["message"] == "connecting by [redacted] [redacted]"
    told = json.loads(line)["exception"]
    assert "RuntimeError" in told and "ValueError" in told and "test_secretfiles.py" in told
