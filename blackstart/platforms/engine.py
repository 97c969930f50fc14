"""The Docker engine: find it, refuse a remote one, check that there is room."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import requests
from docker.errors import DockerException

from blackstart.model.errors import ConfigError, PlatformError

ALLOW_REMOTE = "BLACKSTART_ALLOW_REMOTE"
OLDEST_API = (1, 41)
POOL = 64
GET_ENGINE = (
    "start it (Docker Desktop, `systemctl start docker`), or let `make setup` install one (Debian, as root)"
)


def sockets() -> tuple[Path, ...]:
    """Where a local engine listens: the system's socket, then those of rootless and desktop engines."""
    home = Path.home()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return (
        Path("/var/run/docker.sock"),
        *((Path(runtime) / "docker.sock",) if runtime else ()),
        home / ".docker/run/docker.sock",
        home / ".docker/desktop/docker.sock",
        home / ".colima/default/docker.sock",
    )


def endpoint() -> str:
    """The engine's address: DOCKER_HOST, else the first local socket there is, else the system's.

    Raises ConfigError for an engine on another host unless BLACKSTART_ALLOW_REMOTE=1: drills break things.
    """
    given = os.environ.get("DOCKER_HOST", "").strip()
    if given:
        _refuse_remote(given)
        return given
    found = next((path for path in sockets() if path.exists()), sockets()[0])
    return f"unix://{found}"


def local() -> bool:
    """Whether the engine is sure to be on this machine: it then goes down whenever the machine does."""
    return urlsplit(endpoint()).scheme in ("unix", "npipe")


def _refuse_remote(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme in ("unix", "npipe") or os.environ.get(ALLOW_REMOTE) == "1":
        return
    if parts.scheme in ("tcp", "http", "https") and _loopback(parts.hostname or ""):
        return
    raise ConfigError(
        f"DOCKER_HOST is {address}: a drill breaks things, and that engine is on another host; "
        f"set {ALLOW_REMOTE}=1 if you mean it"
    )


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def connect(timeout_s: int = 60) -> docker.DockerClient:
    """A client of the local engine that has answered; each request may take `timeout_s` seconds.

    Raises PlatformError with what to do if no engine answers or it is too old, ConfigError for a remote one.
    """
    address = endpoint()
    environment = {**os.environ, "DOCKER_HOST": address}
    try:
        client = docker.from_env(
            version="auto", timeout=timeout_s, max_pool_size=POOL, environment=environment
        )
        client.ping()
    except (DockerException, requests.RequestException, OSError) as error:
        raise PlatformError(_no_engine(address, error)) from error
    if _version(client.api.api_version) < OLDEST_API:
        oldest = ".".join(map(str, OLDEST_API))
        raise PlatformError(
            f"the Docker engine at {address} speaks API {client.api.api_version}; "
            f"{oldest} is the oldest that works (engine 20.10)"
        )
    return client


def _no_engine(address: str, error: Exception) -> str:
    text = str(error)
    if "PermissionError" in text or "Permission denied" in text:
        return (
            f"the Docker engine at {address} refuses this user: join the group of its socket "
            "(`sudo usermod -aG docker $USER`, then log in again)"
        )
    return f"no Docker engine answers at {address}: {GET_ENGINE}\n  last seen: {text[-300:]}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def room(client: docker.DockerClient) -> tuple[int | None, int | None]:
    """Free memory and free disk of the engine in MiB; None where it cannot be told from here."""
    try:
        info: dict[str, Any] = client.info()
    except (DockerException, requests.RequestException) as error:
        raise PlatformError(f"the Docker engine went away: {error}") from error
    total = int(info.get("MemTotal") or 0) >> 20
    memory = total or None
    root = Path(str(info.get("DockerRootDir") or "/nowhere"))
    disk = None
    # An engine in a virtual machine of its own (Docker Desktop) has another name and another root folder.
    if sys.platform == "linux" and info.get("Name") == socket.gethostname():
        memory = min(total, _available_mib()) if total else _available_mib()
        while not _readable(root) and root != root.parent:
            root = root.parent
        disk = shutil.disk_usage(root).free >> 20
    return memory, disk


def _readable(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _available_mib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    return 0


def check_room(memory_mib: int, disk_mib: int, client: docker.DockerClient | None = None) -> None:
    """Raise PlatformError unless the engine has `memory_mib` of memory and `disk_mib` of disk free."""
    memory, disk = room(client or connect())
    short = [
        f"{name}: {have} MiB free, {need} MiB needed; {remedy}"
        for name, have, need, remedy in (
            ("memory", memory, memory_mib, "close something, or give the engine more"),
            ("disk", disk, disk_mib, "`docker system prune` frees what is unused"),
        )
        if have is not None and have < need
    ]
    if short:
        raise PlatformError("too little room for the stack\n  " + "\n  ".join(short))
