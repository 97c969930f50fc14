"""A certificate that is replaced while its server runs."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509

from blackstart.model.errors import PlatformError
from blackstart.platforms.capabilities import ExecResult
from blackstart.stack.running import RunningStack
from sut import certificates, rotation
from sut.app.service.peers import shown
from sut.stack import stack

from .programs import Programs
from .tls import server_context


@dataclass
class Front:
    """A front whose file is replaced at once, and used once its server is told; it is told by `exec`."""

    context: ssl.SSLContext
    port: int
    folder: Path
    code: int = 0
    told: list[str] = field(default_factory=list)
    placed: dict[str, str] = field(default_factory=dict)
    run_id: str = "run1"
    stack: Any = stack

    def exec(self, instance: str, argv: Sequence[str], timeout: float = 5.0) -> ExecResult:
        """As RunningStack."""
        if argv[0] == "sh":
            self.placed[argv[3]] = argv[4]
            (self.folder / "new.pem").write_text(argv[4])
            return ExecResult(0, "")
        self.told.append(argv[-1])
        self.context.load_cert_chain(self.folder / "new.pem")
        return ExecResult(self.code, "unable to load certificate from file\n" if self.code else "Success!\n")

    def address(self, instance: str, port: str) -> tuple[str, int]:
        """As RunningStack."""
        return "127.0.0.1", self.port


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))
    context = server_context(certificates.given("run1")["front-1"]["TLS_PEM"], tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Front(context, server.server_port, tmp_path)
        server.shutdown()


def expires(front: Front) -> datetime:
    return x509.load_der_x509_certificate(shown("127.0.0.1", front.port)).not_valid_after_utc


def test_a_rotated_certificate_is_shown_when_the_rotation_returns(front: Front) -> None:
    before = shown("127.0.0.1", front.port)
    rotation.certificate(cast(RunningStack, front), "front-1")
    assert shown("127.0.0.1", front.port) != before
    assert front.told == [rotation.USE]
    assert list(front.placed) == [rotation.PEM]


def test_an_expired_certificate_can_be_placed_and_put_right(front: Front) -> None:
    now = datetime.now(UTC)
    rotation.expire_certificate(cast(RunningStack, front), "front-1")
    assert expires(front) < now
    rotation.certificate(cast(RunningStack, front), "front-1")
    assert expires(front) > now + timedelta(days=29)


def test_a_balancer_that_refuses_a_certificate_is_no_success(front: Front) -> None:
    front.code = 1
    with pytest.raises(PlatformError, match="does not take the certificate: unable to load"):
        rotation.certificate(cast(RunningStack, front), "front-1")


def test_who_has_no_certificate_is_told_so(front: Front) -> None:
    with pytest.raises(
        PlatformError, match="llm-1 has no certificate; those that have: front, postgres, redis"
    ):
        rotation.certificate(cast(RunningStack, front), "llm-1")


def test_a_certificate_lies_ready_and_nobody_is_told(front: Front) -> None:
    before = shown("127.0.0.1", front.port)
    rotation.lay_ready(cast(RunningStack, front), "front-1", timedelta(hours=-1))
    laid = x509.load_pem_x509_certificate(front.placed[rotation.NEXT_PEM].encode())
    assert laid.not_valid_after_utc < datetime.now(UTC)
    assert front.told == []
    assert rotation.seen(cast(RunningStack, front), "front-1") == before


def test_keys_of_tokens_lie_ready_and_are_not_in_force(front: Front) -> None:
    rotation.lay_keys_ready(cast(RunningStack, front), {"k2": "another"}, ["app-1"])
    assert json.loads(front.placed[rotation.NEXT_JWT_KEYS]) == {"k2": "another"}
    assert rotation.JWT_KEYS not in front.placed


@pytest.mark.parametrize("image", ["haproxy", "postgres", "redis"])
def test_every_server_has_the_program_that_takes_a_certificate(image: str) -> None:
    folder = Path(__file__).parents[2] / "sut" / image
    assert rotation.PEM in (folder / rotation.USE).read_text() or image == "postgres"
    assert rotation.USE in (folder / "Dockerfile").read_text()


def test_postgres_reloads_unless_the_control_has_it_keep_its_certificate(tmp_path: Path) -> None:
    programs = Programs(tmp_path, {"psql": 'echo "psql $*" >> "$FOLDER/calls"'})
    use, switch = Path(__file__).parents[2] / "sut" / "postgres" / rotation.USE, tmp_path / "off"
    assert programs.run(use, cwd=tmp_path, SWITCH=str(switch)).returncode == 0
    [reloaded] = programs.calls
    assert reloaded.endswith("SELECT pg_reload_conf()")
    switch.touch()
    assert programs.run(use, cwd=tmp_path, SWITCH=str(switch)).returncode == 0
    assert len(programs.calls) == 1
