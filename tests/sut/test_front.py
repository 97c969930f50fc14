"""What the front's HAProxy is told, as its entry point writes it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from sut.app.service.api import LARGER
from sut.app.service.config import Settings
from sut.app.service.main import make_service

HAPROXY = Path(__file__).parents[2] / "sut" / "haproxy"
RETRIES = ["retries 2", "option redispatch 1", "retry-on conn-failure empty-response"]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the two programs that the entry point calls and that are not here, or not the same."""
    for name, does in {"haproxy": "exit 0", "hostname": "echo '10.0.0.9 '"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def front(programs: Path, without: str = "none", **more: str) -> dict[str, list[str]]:
    """The lines of each section of the configuration, comments left out."""
    settings = {"HAPROXY_ROLE": "front", "BACKENDS": "app-1,app-2", "WITHOUT": without}
    folders = {"TEMPLATES": str(HAPROXY), "RUN": str(programs), "PATH": f"{programs}:{os.environ['PATH']}"}
    folders["TLS"] = str(programs)
    entry = ["sh", str(HAPROXY / "entrypoint.sh")]
    subprocess.run(entry, env={**settings, **folders, **more}, check=True, timeout=10)
    sections: dict[str, list[str]] = {}
    for line in (programs / "haproxy.cfg").read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            lines = sections.setdefault(line, [])
        elif line and not line.strip().startswith("#"):
            lines.append(line.strip())
    return sections


def servers(section: list[str]) -> list[str]:
    return [line for line in section if line.startswith("server ")]


def test_the_front_fails_open_to_the_same_replicas_with_the_same_retries(programs: Path) -> None:
    told = front(programs)
    assert "use_backend app_any if { nbsrv(app) lt 1 }" in told["frontend front"]
    assert servers(told["backend app"]) == [
        "server app-1 app-1:8000 weight 100 rise 3 slowstart 5s",
        "server app-2 app-2:8000 weight 100 rise 3 slowstart 5s",
    ]
    assert servers(told["backend app_any"]) == [
        "server app-1 app-1:8000 no-check",
        "server app-2 app-2:8000 no-check",
    ]
    for backend in ("backend app", "backend app_any"):
        assert [line for line in told[backend] if "retr" in line or "redispatch" in line] == RETRIES


def test_one_lucky_or_late_answer_brings_no_replica_back_and_a_primary_is_back_at_once(
    programs: Path,
) -> None:
    told = front(programs)
    assert "timeout check 500ms" in told["backend app"]
    assert all(" rise 3 " in line for line in servers(told["backend app"]))
    proxy = front(programs, HAPROXY_ROLE="postgres", BACKENDS="pg-1,pg-2")
    assert [line for line in proxy["defaults"] if "check" in line] == [
        "timeout check 1s",
        "default-server check inter 1s fastinter 500ms downinter 500ms fall 2 rise 1",
    ]
    assert not [line for name in ("primary", "replica") for line in proxy[f"listen {name}"] if "rise" in line]


def test_a_region_that_stands_by_gets_something_only_while_no_replica_is_well(programs: Path) -> None:
    told = front(programs, STANDBYS="app-r1")
    assert servers(told["backend app"])[2:] == [
        "server app-r1 app-r1:8000 weight 100 rise 3 slowstart 5s backup"
    ]
    assert servers(told["backend app_any"])[2:] == ["server app-r1 app-r1:8000 no-check backup"]


def test_a_retried_request_does_not_keep_the_word_that_nothing_was_applied(programs: Path) -> None:
    lines = front(programs)["frontend front"]
    counted = lines.index("http-response set-var-fmt(txn.retries) %rc")
    assert lines[counted + 1] == "http-response del-header X-Not-Applied unless { var(txn.retries) -m str 0 }"


def test_the_front_refuses_by_length_just_what_the_app_would(programs: Path) -> None:
    lengths = "{ req.hdr_val(content-length) gt %d }"
    others = f"!{{ path {' '.join(LARGER)} }}"
    limits = [(f"{{ path {path} }}", most) for path, most in LARGER.items()] + [(others, 65536)]
    refusals = [f"http-request deny deny_status 413 if {where} {lengths % most}" for where, most in limits]
    assert [line for line in front(programs)["frontend front"] if "413" in line] == refusals


def test_the_front_passes_on_what_users_may_ask_and_nothing_else(programs: Path) -> None:
    [line] = [line for line in front(programs)["frontend front"] if "deny_status 404" in line]
    exact, below = re.findall(r"\{ path(?:_beg)? ([^}]+) \}", line)

    def passed(path: str) -> bool:
        return path in exact.split() or path.startswith(tuple(below.split()))

    asked = {
        role: set(make_service(Settings(role=role, jwt_secret="s" * 32)).openapi()["paths"])
        for role in ("app", "worker")
    }
    assert asked["app"] - asked["worker"] == {path for path in asked["app"] if passed(path)}
    document = ("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")
    assert not [path for path in (*asked["worker"], *document, "/health/ready/", "/") if passed(path)]


def test_the_front_says_itself_whether_it_has_a_replica_that_is_ready(programs: Path) -> None:
    lines = front(programs)["frontend front"]
    assert "monitor-uri /health/ready" in lines
    assert "monitor fail if { nbsrv(app) lt 1 }" in lines


def test_the_control_without_redispatch_neither_checks_nor_retries(programs: Path) -> None:
    told = front(programs, "redispatch")
    assert "retries 0" in told["defaults"]
    for backend in ("backend app", "backend app_any"):
        assert not [line for line in told[backend] if "retr" in line or "redispatch" in line]
        assert len(servers(told[backend])) == 2
    # Unchecked servers count as up: the control never comes to the other backend.
    assert not [line for lines in told.values() for line in lines if line.startswith("default-server")]
    assert not [
        line for line in told["backend app"] if "check" in line or "rise" in line or "slowstart" in line
    ]


def test_the_control_of_a_single_front_takes_its_listeners_and_nothing_else(programs: Path) -> None:
    whole, told = front(programs), front(programs, "clients")
    assert [line for line in whole["frontend front"] if line.startswith("bind")]
    assert not [line for line in told["frontend front"] if line.startswith("bind")]
    assert told["frontend stats"] == whole["frontend stats"]
    assert told["backend app"] == whole["backend app"]


def test_clients_are_served_with_the_certificate_that_the_run_gave(programs: Path) -> None:
    pem = programs / "tls.pem"
    assert "bind 127.0.0.1:8443" in front(programs)["frontend front"]
    told = front(programs, TLS_PEM="key and certificate\n")
    binds = [line for line in told["frontend front"] if line.startswith("bind")]
    assert binds == [f"bind {ip}:8443 ssl crt {pem}" for ip in ("10.0.0.9", "127.0.0.1")]
    assert (pem.read_text(), pem.stat().st_mode & 0o777) == ("key and certificate\n", 0o600)
    assert not [line for line in told["frontend stats"] if "ssl" in line]


def test_a_restarted_front_keeps_the_certificate_that_was_rotated(programs: Path) -> None:
    front(programs, TLS_PEM="first")
    (programs / "tls.pem").write_text("second")
    front(programs, TLS_PEM="first")
    assert (programs / "tls.pem").read_text() == "second"
