"""Keys: made once, read by their owner alone, known by the whole of their fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blackstart.evidence import keys
from blackstart.model.errors import ConfigError
from tests.evidence.runs import KEY, OTHER_KEY

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_new_key_is_its_owners_alone_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "config" / "blackstart" / "evidence.key"
    made = keys.generate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    public = keys.fingerprint(made.public_key())
    assert keys.fingerprint(keys.load(path).public_key()) == public
    assert keys.fingerprint(keys.load_public(keys.public_file(path))) == public


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keys.generate(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="is there already"):
        keys.generate(path)
    assert path.read_bytes() == before


def test_a_public_half_that_is_there_keeps_the_private_one_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text("somebody's")
    with pytest.raises(ConfigError, match=r"key\.pub: is there already"):
        keys.generate(tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_no_key_is_made_where_git_would_commit_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(ConfigError, match="work tree"):
        keys.generate(tmp_path / "deep" / "down" / "key")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    keys.generate(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        keys.load(path)


def test_what_is_no_such_key_is_refused_by_name(tmp_path: Path) -> None:
    plain = serialization.NoEncryption()
    locked = serialization.BestAvailableEncryption(b"words")
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, plain)
    for name, data, said in (
        ("none", b"hello", "no private key"),
        ("curve", curve, "not an Ed25519 key"),
        ("locked", KEY.private_bytes(PEM, PKCS8, locked), "passphrase"),
    ):
        with pytest.raises(ConfigError, match=said):
            keys.load(write(tmp_path / name, data))
    with pytest.raises(ConfigError, match="cannot be read"):
        keys.load(tmp_path / "missing")
    with pytest.raises(ConfigError, match="no Ed25519 public key"):
        keys.load_public(write(tmp_path / "public", b"hello"))


def test_a_fingerprint_is_compared_whole_however_it_is_written() -> None:
    public = KEY.public_key()
    told = keys.fingerprint(public)
    pairs = ":".join(told[n : n + 2] for n in range(0, 64, 2)).upper()
    fours = " ".join(told[n : n + 4] for n in range(0, 64, 4))
    assert all(
        keys.has_fingerprint(public, text) for text in (told, pairs, fours, f"SHA256:{told}", f" {told}\n")
    )
    assert not keys.has_fingerprint(OTHER_KEY.public_key(), told)
    for part in ("", told[:32], f"{told}00", "g" * 64):
        with pytest.raises(ConfigError, match="not a fingerprint"):
            keys.has_fingerprint(public, part)


def test_the_default_key_lies_in_the_users_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys.default_key() == tmp_path / "blackstart" / "evidence.key"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keys.default_key() == tmp_path / ".config" / "blackstart" / "evidence.key"
