"""A run's authority: what it issues is trusted by name, while it is valid, and by its own clients only."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from prometheus_client import CollectorRegistry

from blackstart.load.http import HttpExecutor
from blackstart.load.operations import HttpOperation
from blackstart.model.errors import ConfigError
from blackstart.stack.provision import environments
from sut import certificates
from sut.app.service.peers import shown
from sut.app.service.prober import Endpoint, Prober
from sut.authority import Authority, der
from sut.stack import stack

from .tls import server_context

VALUES = {"run": "r", "session": "s", "id": "7", "seq": "1", "prompt": "why?"}
HOUR = timedelta(hours=1)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def authority() -> Authority:
    return Authority.make("test")


@asynccontextmanager
async def serving(pem: str, folder: Path, *, postgres: bool = False) -> AsyncIterator[int]:
    """The port of a server that answers every request with OK."""
    context = server_context(pem, folder)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if postgres:
                assert await reader.readexactly(8) == b"\0\0\0\x08\x04\xd2\x16/"
                writer.write(b"S")
                await writer.start_tls(context)
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(OK)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=None if postgres else context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def client(port: int, ca: str, host: str = "127.0.0.1") -> HttpExecutor:
    return HttpExecutor(HttpOperation(f="x", urls=(f"https://{host}:{port}",), ca=ca, deadline="5s"))


@pytest.mark.parametrize(
    ("valid", "foreign", "expected"),
    [
        (HOUR, False, ("ok", None)),
        (-HOUR, False, ("fail", "tls-certificate-has-expired")),
        (HOUR, True, ("fail", "tls-")),
    ],
)
def test_the_load_takes_a_certificate_of_the_runs_authority_while_it_is_valid(
    authority: Authority, tmp_path: Path, valid: timedelta, foreign: bool, expected: tuple[str, str | None]
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text((Authority.make("another") if foreign else authority).certificate)

    async def main() -> None:
        async with serving(authority.issue(["front-1"], valid=valid), tmp_path) as port:
            executor = client(port, str(ca))
            for _ in range(2):  # the second on the first one's connection, where there is one
                outcome = await executor(VALUES, None)
                assert outcome.type == expected[0]
                assert (outcome.error or "").startswith(expected[1] or "")
            await executor.close()

    run(main())


def test_names_are_part_of_a_certificate(authority: Authority, tmp_path: Path) -> None:
    async def main() -> None:
        pem = certificates.issue(authority, "pg-1")
        context = ssl.create_default_context(cadata=authority.certificate)
        async with serving(pem, tmp_path) as port:
            for name in ("pg-1", "pg-1.net", "pgproxy-1", "localhost", "127.0.0.1"):
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=context, server_hostname=name
                )
                writer.close()
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="pg-2")

    run(main())


def test_a_load_without_a_readable_authority_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for file in (tmp_path / "none", empty):
        with pytest.raises(ConfigError, match="cannot trust"):
            client(1, str(file))


@pytest.mark.parametrize("postgres", [False, True])
def test_an_expired_certificate_is_shown_all_the_same(
    authority: Authority, tmp_path: Path, postgres: bool
) -> None:
    async def main() -> None:
        pem = authority.issue(["redis-1"], valid=-HOUR)
        async with serving(pem, tmp_path, postgres=postgres) as port:
            found = await asyncio.to_thread(shown, "127.0.0.1", port, postgres=postgres)
        assert found == der(pem)
        certificate = x509.load_der_x509_certificate(found)
        now = datetime.now(UTC)
        assert certificate.not_valid_before_utc < certificate.not_valid_after_utc < now

    run(main())


def test_the_prober_keeps_what_it_saw_last(authority: Authority) -> None:
    endpoint = Endpoint.parse("postgres://pg-1:5432")
    assert (endpoint, str(endpoint)) == (Endpoint("pg-1", 5432, True), "pg-1:5432")
    seen = [der(authority.issue(["pg-1"], valid=HOUR))]

    def look(endpoint: Endpoint) -> bytes:
        if not seen:
            raise ConnectionRefusedError
        return seen.pop()

    registry = CollectorRegistry()
    prober = Prober((endpoint,), look, registry)
    name, labels = "certificate_expires_timestamp_seconds", {"endpoint": "pg-1:5432"}
    prober.look()
    expires = registry.get_sample_value(name, labels)
    assert expires == pytest.approx((datetime.now(UTC) + HOUR).timestamp(), abs=60)
    prober.look()
    assert registry.get_sample_value(name, labels) == expires
    assert registry.get_sample_value("certificate_looks_failed_total", labels) == 1


@pytest.mark.parametrize("text", ["redis-1", ":6380", "redis-1:tls"])
def test_an_endpoint_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ENDPOINTS"):
        Endpoint.parse(text)


def test_a_run_has_one_authority_and_every_server_a_certificate_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))
    first, again = environments(stack, "run1"), environments(stack, "run1")
    authority = x509.load_pem_x509_certificate(Path(certificates.trusted("run1")).read_bytes())
    for name in certificates.SERVERS:
        made = x509.load_pem_x509_certificate(first[name]["TLS_PEM"].encode())
        made.verify_directly_issued_by(authority)
        assert first[name]["TLS_PEM"] != again[name]["TLS_PEM"]
    assert {first[name]["TLS_CA"] for name in certificates.CLIENTS} == {
        Path(certificates.trusted("run1")).read_text()
    }
    for instance in stack.instances:
        assert dict(instance.env).items() <= first[instance.name].items()
    assert environments(stack, "run2")["app-1"]["TLS_CA"] != first["app-1"]["TLS_CA"]
    assert (tmp_path / "run1" / "tls" / "ca-key.pem").stat().st_mode & 0o777 == 0o600
