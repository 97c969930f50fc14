"""Getting in without a right to: no token, a forged one, another's session, too much input."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.testclient import TestClient

from sut.app.service.api import Parts, make_app
from sut.app.service.auth import LONGEST, subject
from sut.app.service.config import Settings
from sut.app.service.database import make_pool
from sut.app.service.errors import Refusal
from sut.app.service.metrics import Metrics
from sut.app.service.readiness import Readiness
from sut.app.service.secretfiles import JWT_KEYS, plant
from sut.load import token

from .fakes import FakeIngester, FakeRunner, NoEmbedder
from .test_api import BODY

# Long enough for HS512 as well.
SECRET, OTHER = "one secret of at least sixty-four bytes " * 2, "another secret of more than 32 bytes"
KEYS = {"k1": SECRET, "k2": OTHER}
CLAIMS = {"sub": "ann", "exp": int(time.time()) + 600}


def part(value: Any) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(header: dict[str, Any], claims: dict[str, Any] | None = None, secret: str | bytes = SECRET) -> str:
    """A token with any header at all, signed by HS256 whatever it says."""
    body = f"{part(header)}.{part(CLAIMS if claims is None else claims)}"
    key = secret.encode() if isinstance(secret, str) else secret
    digest = hmac.new(key, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
GOOD = {"alg": "HS256", "typ": "JWT", "kid": "k1"}
FORGED = {
    "no algorithm": f"{part({**GOOD, 'alg': 'none'})}.{part(CLAIMS)}.",
    "no algorithm, signed": forged({**GOOD, "alg": "none"}),
    "odd spelling of none": f"{part({**GOOD, 'alg': 'NoNe'})}.{part(CLAIMS)}.",
    "no signature": f"{part(GOOD)}.{part(CLAIMS)}.",
    "another key": forged(GOOD, secret=OTHER),
    "another valid key's id": forged({**GOOD, "kid": "k2"}),
    "no key id": forged({"alg": "HS256"}),
    "an unknown key id": forged({**GOOD, "kid": "k3"}),
    "an empty key id, an empty key": forged({**GOOD, "kid": ""}, secret=b""),
    "a path to a known file": forged({**GOOD, "kid": "../../../../dev/null"}, secret=b""),
    "a query": forged({**GOOD, "kid": "x' UNION SELECT 'secret"}, secret="secret"),
    "a key id that is a list": forged({**GOOD, "kid": ["k1"]}),
    "a key in the token": forged(
        {**GOOD, "kid": "mine", "jwk": {"kty": "oct", "k": part(OTHER)}}, secret=OTHER
    ),
    "a key by address": forged({**GOOD, "kid": "mine", "jku": "http://127.0.0.1/keys"}, secret=OTHER),
    "RS256 by a key of its own": jwt.encode(CLAIMS, RSA, algorithm="RS256", headers={"kid": "k1"}),
    "HS256 by the public key": forged(GOOD, secret=PUBLIC),
    "HS512": jwt.encode(CLAIMS, SECRET, algorithm="HS512", headers={"kid": "k1"}),
    "expired": forged(GOOD, {**CLAIMS, "exp": int(time.time()) - 1}),
    "not valid yet": forged(GOOD, {**CLAIMS, "nbf": int(time.time()) + 600}),
    "valid for ever": forged(GOOD, {"sub": "ann"}),
    "nobody": forged(GOOD, {"exp": CLAIMS["exp"]}),
    "an empty name": forged(GOOD, {**CLAIMS, "sub": ""}),
    "a name that is a list": forged(GOOD, {**CLAIMS, "sub": ["ann"]}),
    "other claims under the same signature": ".".join(
        [forged(GOOD).split(".")[0], part({**CLAIMS, "sub": "bob"}), forged(GOOD).split(".")[2]]
    ),
    "too long": forged(GOOD, {**CLAIMS, "pad": "x" * LONGEST}),
    "no token at all": "",
    "not ASCII": "\xe4.\xf6.\xfc",
}


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of secrets of the app under test."""
    plant(tmp_path, {JWT_KEYS: json.dumps(KEYS)})
    return tmp_path


@pytest.fixture
def client(runner: FakeRunner, secrets: Path) -> Iterator[TestClient]:
    metrics = Metrics()
    app = make_app(metrics)
    pool = make_pool("postgresql://nowhere/", name="unused", size=1, check_timeout=1)
    settings = Settings(secrets_dir=str(secrets))
    app.state.parts = Parts(settings, metrics, runner, Readiness(pool, NoEmbedder()), {}, FakeIngester())
    with TestClient(app) as made:
        made.headers["Idempotency-Key"] = "k1"
        yield made


def chat(client: TestClient, bearer: str) -> int:
    """The status of a chat by this token."""
    headers = {b"Authorization": f"Bearer {bearer}".encode("latin-1")}
    return client.post("/chat", json=BODY, headers=headers).status_code


@pytest.mark.parametrize("bearer", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_lets_nobody_in(client: TestClient, runner: FakeRunner, bearer: str) -> None:
    assert chat(client, bearer) == 401
    assert runner.turns == []


def test_the_forger_of_these_tests_can_make_a_good_token(client: TestClient) -> None:
    assert chat(client, forged(GOOD)) == 200


def test_every_key_is_valid_and_what_is_rotated_is_noticed_without_a_restart(
    client: TestClient, secrets: Path
) -> None:
    old, new = token("ann", 60, SECRET, "k1"), token("ann", 60, OTHER, "k2")
    assert (chat(client, old), chat(client, new)) == (200, 200)
    (secrets / "new").write_text(json.dumps({"k2": OTHER}))
    (secrets / "new").rename(secrets / JWT_KEYS)
    assert (chat(client, old), chat(client, new)) == (401, 200)


def test_a_half_written_file_locks_nobody_out(
    client: TestClient, secrets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert chat(client, token("ann", 60, SECRET, "k1")) == 200
    (secrets / JWT_KEYS).write_text(f'{{"k1": "{SECRET}')
    assert chat(client, token("ann", 60, SECRET, "k1")) == 200
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == ["secret unusable"]
    assert SECRET not in "".join(str(vars(record)) for record in caplog.records)


def test_whose_session_it_is_comes_from_the_token_alone(client: TestClient, runner: FakeRunner) -> None:
    headers = {"Authorization": f"Bearer {token('bob', 60, SECRET, 'k1')}"}
    client.post("/chat", json={**BODY, "sub": "ann", "subject": "ann"}, headers=headers)
    assert [turn.subject for turn in runner.turns] == ["bob"]


def test_a_body_without_a_length_is_read_no_further_than_one_with_a_length(
    client: TestClient, runner: FakeRunner
) -> None:
    headers = {"Authorization": f"Bearer {forged(GOOD)}", "Content-Type": "application/json"}

    def pieces(number: int) -> Iterator[bytes]:
        yield b'{"session": "s1", "message": "How?", "pad": "'
        yield from (b"x" * 1024 for _ in range(number))
        yield b'"}'

    assert client.post("/chat", content=pieces(32), headers=headers).status_code == 200
    assert client.post("/chat", content=pieces(80), headers=headers).status_code == 413
    assert len(runner.turns) == 1


def test_the_longest_documents_are_taken_in_however_they_are_written(client: TestClient) -> None:
    given = [{"id": f"d{number}", "content": "\U0001f300" * 3000} for number in range(16)]
    headers = {"Authorization": f"Bearer {forged(GOOD)}", "Content-Type": "application/json"}
    body = json.dumps({"documents": given}).encode()
    assert len(body) > 12 * 16 * 3000, "every character is escaped, as two"
    assert client.post("/documents", content=body, headers=headers).status_code == 200
    assert client.post("/documents", content=body + b" " * (1 << 20), headers=headers).status_code == 413


def test_without_keys_nobody_is_let_in() -> None:
    with pytest.raises(Refusal):
        subject(f"Bearer {forged(GOOD, secret=b'')}", {})


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("sut/*/Dockerfile")), ids=lambda p: p.parent.name
)
def test_no_service_runs_as_root(path: Path) -> None:
    stages = path.read_text().split("\nFROM ")
    users = [line.split()[1] for line in stages[-1].splitlines() if line.startswith("USER ")]
    # The sidecar adds and removes rules in its network namespace, as whoever the harness asks to.
    assert (users and users[-1] not in ("root", "0")) or path.parent.name == "toxiproxy"
