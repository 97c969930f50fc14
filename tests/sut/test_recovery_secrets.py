"""The sealed bundle beside the backups, and the replacement of all secrets at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.fernet import Fernet, InvalidToken

from blackstart.model.errors import PlatformError
from blackstart.platforms.capabilities import ExecResult
from blackstart.stack.running import RunningStack
from sut import rotation
from sut.app.service.content import keys
from sut.app.service.secretfiles import token_keys
from sut.recovery import bundle, rotate
from sut.recovery.settings import REPOSITORY
from sut.recovery.stack import stack
from sut.settings import (
    APP_PASSWORD,
    CONTENT_KEY,
    JWT_SECRET,
    NEXT_APP_PASSWORD,
    NEXT_CONTENT_KEY,
    NEXT_JWT_SECRET,
    SECRETS,
)


@dataclass
class Service:
    """Instances with their secrets in files; what is put on the repository's host is kept in `bundle`."""

    files: dict[str, str]
    run_id: str = "run1"
    stack: Any = stack
    bundle: str = ""
    password: str = APP_PASSWORD
    order: list[tuple[str, str]] = field(default_factory=list)

    def exec(self, instance: str, argv: Sequence[str], timeout: float = 5.0) -> ExecResult:
        """As RunningStack."""
        if argv[0] == "cat":
            return ExecResult(0, self.files[argv[1].rsplit("/", 1)[1]] + "\n")
        if instance == REPOSITORY:
            self.bundle = argv[4]
        elif argv[0] == "psql":
            self.password = argv[-1].split("'")[1]
        else:
            name = argv[3].rsplit("/", 1)[1]
            self.files[name] = argv[4]
            self.order.append((name, argv[4]))
        return ExecResult(0, "")

    def role_map(self, service: str) -> dict[str, str]:
        """As RunningStack."""
        return {"pg-1": "primary", "pg-2": "replica"}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))
    return Service(
        {
            "jwt-keys": json.dumps({"k1": JWT_SECRET}),
            "content-keys": f"{NEXT_CONTENT_KEY}\n{CONTENT_KEY}",
            "database-password": NEXT_APP_PASSWORD,
        }
    )


def seal(service: Service, **options: Any) -> dict[str, dict[str, str]]:
    bundle.seal(cast(RunningStack, service), **options)
    return bundle.unseal("run1", service.bundle)


def test_the_bundle_holds_the_secrets_of_now_not_those_declared(service: Service) -> None:
    app = seal(service)["app-2"]
    assert app["CONTENT_KEYS"].splitlines() == [NEXT_CONTENT_KEY, CONTENT_KEY]
    assert token_keys(app["JWT_SECRET"]) == {"k1": JWT_SECRET}
    for url in ("DATABASE_URL", "RETRIEVAL_URL"):
        assert f":{NEXT_APP_PASSWORD}@" in app[url]
        assert app[url] != stack.instance("app-2").env[url]
    assert bundle.unseal("run1", service.bundle)["pg-1"] == {"APP_PASSWORD": NEXT_APP_PASSWORD}
    assert set(app) <= set(stack.instance("app-2").env), "what is declared is replaced, nothing is added"


def test_the_bundle_holds_every_key_of_tokens_under_its_name(service: Service) -> None:
    service.files["jwt-keys"] = json.dumps({"k2": NEXT_JWT_SECRET, "k3": JWT_SECRET})
    app = seal(service)["app-1"]
    assert token_keys(app["JWT_SECRET"]) == {"k2": NEXT_JWT_SECRET, "k3": JWT_SECRET}


def test_who_opens_it_makes_no_key(service: Service, tmp_path: Path) -> None:
    seal(service)
    (tmp_path / "run1" / "bundle.key").unlink()
    with pytest.raises(bundle.BundleError, match="there is no key of run run1"):
        bundle.unseal("run1", service.bundle)
    assert not (tmp_path / "run1" / "bundle.key").exists()


def test_nobody_reads_it_without_the_key(service: Service, tmp_path: Path) -> None:
    seal(service)
    assert not [secret for secret in SECRETS if secret in service.bundle]
    key = tmp_path / "run1" / "bundle.key"
    assert key.stat().st_mode & 0o077 == 0
    key.write_bytes(Fernet.generate_key())
    with pytest.raises(bundle.BundleError, match="sealed by another key"):
        bundle.unseal("run1", service.bundle)


def test_a_bundle_that_was_changed_is_refused(service: Service) -> None:
    seal(service)
    middle = len(service.bundle) // 2
    other = "A" if service.bundle[middle] != "A" else "B"
    with pytest.raises(bundle.BundleError, match="or changed since"):
        bundle.unseal("run1", service.bundle[:middle] + other + service.bundle[middle + 1 :])


def test_a_stale_bundle_lacks_the_key_that_seals_now(service: Service) -> None:
    sealed_now = keys(service.files["content-keys"]).encrypt(b"a turn")
    stale = seal(service, content_keys=[CONTENT_KEY])["app-1"]["CONTENT_KEYS"]
    assert keys(seal(service)["app-1"]["CONTENT_KEYS"]).decrypt(sealed_now) == b"a turn"
    with pytest.raises(InvalidToken):
        keys(stale).decrypt(sealed_now)


def test_a_secret_that_cannot_be_read_seals_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "exec", lambda *_, **__: ExecResult(1, "no such file"))
    with pytest.raises(PlatformError, match="cannot be read"):
        bundle.seal(cast(RunningStack, service))


def test_every_secret_is_replaced_and_a_new_key_opens_before_it_seals(service: Service) -> None:
    rotate.forward(cast(RunningStack, service))
    assert set(json.loads(service.files["jwt-keys"]).values()) == {JWT_SECRET, NEXT_JWT_SECRET}
    assert service.password == service.files["database-password"] == NEXT_APP_PASSWORD
    orders = [text.splitlines() for name, text in service.order if name == "content-keys"]
    first = next(n for n, each in enumerate(orders) if each[0] == NEXT_CONTENT_KEY)
    assert all(NEXT_CONTENT_KEY in each for each in orders[:first]) and first == len(rotation.HOLDERS)


def test_the_old_key_of_tokens_can_be_taken_away(service: Service) -> None:
    rotate.forward(cast(RunningStack, service))
    rotate.retire(cast(RunningStack, service))
    assert list(json.loads(service.files["jwt-keys"]).values()) == [NEXT_JWT_SECRET]
    assert service.password == NEXT_APP_PASSWORD


def test_a_rotation_done_again_completes_the_first_and_warns(service: Service) -> None:
    assert rotate.forward(cast(RunningStack, service)) == ""
    service.password = APP_PASSWORD  # a restore took it back
    assert "choose others" in rotate.forward(cast(RunningStack, service))
    assert service.password == NEXT_APP_PASSWORD


def test_what_is_put_back_opens_what_was_sealed_meanwhile(service: Service) -> None:
    rotate.forward(cast(RunningStack, service))
    sealed = keys(service.files["content-keys"]).encrypt(b"a turn")
    rotate.back(cast(RunningStack, service))
    assert keys(service.files["content-keys"]).decrypt(sealed) == b"a turn"
    assert service.password == service.files["database-password"] == APP_PASSWORD
    assert list(json.loads(service.files["jwt-keys"]).values()) == [JWT_SECRET]


def test_without_a_primary_no_password_is_replaced(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "role_map", lambda _: {"pg-1": "replica"})
    with pytest.raises(PlatformError, match="no Postgres is primary now"):
        rotate.back(cast(RunningStack, service))
    assert service.files["database-password"] == NEXT_APP_PASSWORD


@pytest.mark.parametrize("words", [[], ["run1"], ["run1", "both"], ["a", "b", "c"]])
def test_the_command_line_tells_how_it_is_used(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert rotate.main(words) == bundle.main(words) == 64
    told = capsys.readouterr()
    assert told.out == ""
    assert (
        "sut.recovery.rotate RUN next|retire|back" in told.err
        and "sut.recovery.bundle seal|open RUN" in told.err
    )
