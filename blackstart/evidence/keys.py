"""The key that signs evidence: Ed25519, in a file that only its owner reads, known by its fingerprint."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from blackstart.model.errors import ConfigError

#: Larger files are no keys.
_LARGEST = 64 * 1024


def default_key() -> Path:
    """The user's own key: `evidence.key` in `blackstart` in `$XDG_CONFIG_HOME` or `~/.config`."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "blackstart" / "evidence.key"


def public_file(path: Path) -> Path:
    """Where the public half of the key in `path` lies: beside it, `.pub` added."""
    return path.with_name(f"{path.name}.pub")


def generate(path: Path) -> Ed25519PrivateKey:
    """Make a key and write it to `path` (mode 0600), its public half beside it.

    Raises ConfigError where either file is there already, cannot be written, or would lie in a git work tree.
    """
    if (tree := _work_tree(path)) is not None:
        raise ConfigError(
            f"{path}: inside the git work tree {tree}, where a key gets committed: choose a place outside"
        )
    if there := [each for each in (path, public_file(path)) if each.exists()]:
        raise ConfigError(f"{there[0]}: is there already, and a key is never replaced: choose another name")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, private, 0o600)
        _write_new(public_file(path), public_pem(key.public_key()), 0o644)
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be written: {error.strerror}") from None
    return key


def load(path: Path) -> Ed25519PrivateKey:
    """The private key in `path`; ConfigError where it is none, or where others than its owner may read it."""
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            data = file.read(_LARGEST)
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read: {error.strerror}") from None
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise ConfigError(
            f"{path}: others may read this key, so its signature proves nothing: chmod 600 {path}"
        )
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except TypeError:
        raise ConfigError(
            f"{path}: the key has a passphrase, which is not supported: give one without"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(
            f"{path}: no private key in PEM form; make one with `blackstart evidence keygen FILE`"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: not an Ed25519 key; make one with `blackstart evidence keygen FILE`")
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """The public key in `path`; ConfigError where it is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
    except OSError as error:
        raise ConfigError(f"{path}: the public key cannot be read: {error.strerror}") from None
    if (key := public_key(data)) is None:
        raise ConfigError(f"{path}: no Ed25519 public key in PEM form")
    return key


def public_key(pem: bytes) -> Ed25519PublicKey | None:
    """The key in `pem`; None if it is no Ed25519 public key."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The key as PEM (SubjectPublicKeyInfo), as OpenSSL reads it."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the key's DER form (SubjectPublicKeyInfo), 64 hexadecimal digits."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def has_fingerprint(key: Ed25519PublicKey, told: str) -> bool:
    """Whether `told` is the key's whole fingerprint, in capitals, with colons or spaces as may be.

    Raises ConfigError where it is no fingerprint: part of one is easily met by another key.
    """
    plain = re.sub(r"[\s:]", "", told.strip().removeprefix("SHA256:")).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise ConfigError(f"not a fingerprint: {told!r} (64 hexadecimal digits, the whole of them)")
    return hmac.compare_digest(plain, fingerprint(key))


def is_signed(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is one of `data` by `key`."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that was not there, with this mode from its first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _work_tree(path: Path) -> Path | None:
    return next((folder for folder in path.resolve().parents if (folder / ".git").exists()), None)
