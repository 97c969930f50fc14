"""Who holds which certificate in a run of the sample, and where the run's authority is kept.

The authority's key never leaves the folder of the run's state on this host.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from blackstart.injection.state import state_dir
from sut.settings import APPS, FRONTS, POSTGRES, REDIS, WORKERS

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack
    from sut.authority import Authority

#: Far above the threshold of the alert that a certificate expires soon (sut/prometheus/rules.yml).
VALID = timedelta(days=30)
SERVERS = (*FRONTS, *POSTGRES, *REDIS)
#: Who verifies them.
CLIENTS = (*APPS, *WORKERS)
#: Clients come to Postgres through the proxy, which passes TLS on: they verify the name that they dialled.
_ALSO = dict.fromkeys(POSTGRES, ("pgproxy-1",))


def given(run_id: str) -> dict[str, dict[str, str]]:
    """By instance, its key and certificate, or the authority that it trusts; new ones at each call."""
    authority = authority_of(run_id)
    servers = {name: {"TLS_PEM": issue(authority, name)} for name in SERVERS}
    return servers | {name: {"TLS_CA": authority.certificate} for name in CLIENTS}


def issue(authority: Authority, instance: str, valid: timedelta = VALID) -> str:
    """Key and certificate of an instance, in one PEM, by every name under which it is called."""
    names = (instance, f"{instance}.net", *_ALSO.get(instance, ()))
    return authority.issue(names, valid=valid)


def authority_of(run_id: str) -> Authority:
    """The run's authority, made when it is asked for first."""
    # On use: a plan of the drills makes no certificates.
    from sut.authority import Authority

    key, certificate = _folder(run_id) / "ca-key.pem", Path(trusted(run_id))
    if not key.exists():
        made = Authority.make(f"Blackstart run {run_id}")
        _write(certificate, made.certificate)
        _write(key, made.key)
    return Authority(key.read_text(), certificate.read_text())


def trusted(run_id: str) -> str:
    """The file by which clients on this host know the run's servers."""
    return str(_folder(run_id) / "ca.pem")


def front_url(running: RunningStack, front: str, path: str = "") -> str:
    """The URL at which clients on this host reach a front; they trust `trusted(running.run_id)`."""
    host, port = running.address(front, "https")
    return f"https://{host}:{port}{path}"


def _folder(run_id: str) -> Path:
    folder = state_dir(run_id, create=True) / "tls"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
