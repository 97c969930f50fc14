"""Docker: find, start, kill, freeze and remove the containers of a run; run commands inside them."""

from __future__ import annotations

import builtins
import contextlib
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container as DockerContainer
from docker.models.networks import Network

from blackstart.model.errors import PlatformError
from blackstart.platforms import kernel
from blackstart.platforms.capabilities import Container, ExecResult, Moment, left
from blackstart.platforms.docker_anew import DockerAnew
from blackstart.platforms.docker_limits import DockerLimits
from blackstart.platforms.docker_words import asked as _asked
from blackstart.platforms.docker_words import why as _why
from blackstart.platforms.execution import run_in
from blackstart.platforms.waiting import wait_until

LABEL = "blackstart"
#: How long a container may take to be what it was asked to be, in seconds.
_SETTLE = 10.0
#: Containers removed at once; each spends most of its time waiting for the engine.
_REMOVERS = 8
#: How long, in seconds, the engine may go on counting endpoints of containers that are gone.
_ENDPOINTS = 3.0


class DockerPlatform(DockerLimits, DockerAnew):
    """Containers addressed by their names. Only containers labelled with a run of ours are touched.

    Every method raises PlatformError when the engine refuses, is gone, or the container is not ours.
    """

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client

    # -- finding ---------------------------------------------------------------------------------

    def engine_id(self) -> str:
        """What tells this engine from every other, however it is reached; empty if it has no such thing."""
        with _asked("tell the engine's id"):
            return str(self.client.info().get("ID") or "")

    def list(self, run_id: str | None = None) -> builtins.list[Container]:
        """The containers of a run, or of every run, whatever their state."""
        label = f"{LABEL}.run={run_id}" if run_id else f"{LABEL}.run"
        with _asked("list the containers"):
            found = self.client.api.containers(all=True, filters={"label": label})
        return sorted((_container(c) for c in found), key=lambda c: c.name)

    def runs(self) -> builtins.list[str]:
        """Run ids that have left anything here: containers, networks or volumes."""
        with _asked("list what runs left"):
            networks = self.client.networks.list(filters={"label": f"{LABEL}.run"})
            volumes = self.client.volumes.list(filters={"label": f"{LABEL}.run"})
        found = {c.run_id for c in self.list()}
        found |= {str(n.attrs["Labels"][f"{LABEL}.run"]) for n in networks}
        found |= {str(v.attrs["Labels"][f"{LABEL}.run"]) for v in volumes}
        return sorted(found)

    def inspect(self, name: str) -> dict[str, Any]:
        """All that the engine knows of a container."""
        return dict(self._ours(name).attrs)

    def bindings(self, name: str) -> dict[int, int]:
        """Container port -> host port, as chosen for the container's life, whether or not it runs now."""
        bound = self._ours(name).attrs["HostConfig"].get("PortBindings") or {}
        return {int(c.split("/")[0]): int(h[0]["HostPort"]) for c, h in bound.items() if h}

    def is_running(self, name: str) -> bool:
        """Whether the container runs (a paused one does)."""
        return bool(self._state(name).get("Running"))

    def is_paused(self, name: str) -> bool:
        """Whether every process of the container is frozen."""
        return bool(self._state(name).get("Paused"))

    def started(self, name: str) -> str:
        """When the container was last started, as the engine writes it: no two lives have the same."""
        return str(self._state(name)["StartedAt"])

    def exit_code(self, name: str) -> int:
        """How the last life of the container ended; 137 is SIGKILL. 0 while it runs."""
        return int(self._state(name)["ExitCode"])

    def addresses(self, name: str) -> builtins.list[str]:
        """By which addresses the others of its run reach the container; none while it is down."""
        networks = self._ours(name).attrs["NetworkSettings"]["Networks"].values()
        return [n[key] for n in networks for key in ("IPAddress", "GlobalIPv6Address") if n.get(key)]

    def has_scheduler(self, name: str, scheduler: str) -> bool:
        """Whether the kernel of the container has this packet scheduler (`tbf`, `netem`)."""
        return kernel.has_scheduler(self, name, scheduler)

    # -- acting ----------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """SIGKILL the container's first process, and with it all others; returns once it is down."""
        container = self._ours(name)
        with _asked(f"kill {name}"):
            # A frozen container takes the signal only when it goes on.
            if container.status == "paused":
                container.unpause()
            if container.status != "exited":
                container.kill()
        self._await(name, "to be down", lambda: not self.is_running(name))

    def stop(self, name: str, timeout_s: float) -> None:
        """SIGTERM the container's first process, SIGKILL it after `timeout_s`; returns once it is down."""
        container = self._ours(name)
        with _asked(f"stop {name}"):
            container.stop(timeout=math.ceil(timeout_s))
        self._await(name, "to be down", lambda: not self.is_running(name))

    def start(self, name: str) -> None:
        """Start the container; nothing happens to one that runs."""
        container = self._ours(name)
        with _asked(f"start {name}"):
            container.start()

    def restart(self, name: str) -> None:
        """Kill the container if it runs, and start it."""
        if self.is_running(name):
            self.kill(name)
        self.start(name)

    def pause(self, name: str) -> None:
        """Freeze every process of the container; nothing happens to one that is frozen."""
        if not self.is_paused(name):
            with _asked(f"pause {name}"):
                self._ours(name).pause()

    def unpause(self, name: str) -> None:
        """Let a frozen container go on; nothing happens to one that is not frozen."""
        if self.is_paused(name):
            with _asked(f"unpause {name}"):
                self._ours(name).unpause()

    def exec(self, name: str, cmd: Sequence[str], timeout: float = 10.0) -> ExecResult:
        """Run `cmd` as root inside the container; PlatformError if it takes longer than `timeout` seconds."""
        container = self._ours(name)
        done: builtins.list[ExecResult | BaseException] = []

        def run() -> None:
            try:
                # timeout(1) ends the command; the thread below covers a container frozen meanwhile.
                limited = ["timeout", "-k", "1", f"{timeout:.3f}", *cmd]
                done.append(run_in(self.client.api, str(container.id), limited, timeout + 2))
            except (DockerException, requests.RequestException, PlatformError) as error:
                done.append(error)

        thread = threading.Thread(target=run, name=f"exec {name}", daemon=True)
        thread.start()
        thread.join(timeout + 2)
        shown = " ".join(cmd)
        if not done:
            raise PlatformError(f"{name}: no answer from `{shown}` within {timeout + 2:.0f} s; is it frozen?")
        result = done[0]
        if isinstance(result, BaseException):
            raise PlatformError(f"{name}: cannot run `{shown}`: {_why(result)}") from result
        if result.code == 124:
            raise PlatformError(f"{name}: `{shown}` took longer than {timeout:g} s\n{result.output[-500:]}")
        return result

    def pids(self, name: str, process: str) -> builtins.list[int]:
        """Pids, inside the container, of the processes whose name (`comm`) is `process`, without zombies."""
        found = self.exec(name, ["pgrep", "-x", "-r", "D,I,R,S,T,t", "--", process])
        if found.code not in (0, 1):
            raise PlatformError(f"{name}: pgrep failed: {found.output.strip()}")
        return [int(line) for line in found.output.split()] if found.code == 0 else []

    def signal_process(self, name: str, process: str, signal: str) -> builtins.list[int]:
        """Send `signal` (as `KILL`) to every live process named `process`; returns the pids that were hit."""
        short = signal.upper().removeprefix("SIG")
        # One round trip, so that what is hit is what was seen.
        script = (
            'p=$(pgrep -x -r D,I,R,S,T,t -- "$1") || exit 0; echo $p; kill -s "$2" $p 2>/dev/null; exit 0'
        )
        done = self.exec(name, ["sh", "-c", script, "sh", process, short])
        hit = [int(word) for word in done.output.split() if word.isdigit()]
        # Where the init ends with its child, the kill takes this shell along: then its code says nothing.
        if not hit and done.code != 0:
            raise PlatformError(f"{name}: cannot signal {process}: {done.output.strip()}")
        return hit

    def logs(
        self, name: str, since: Moment | None = None, until: Moment | None = None, tail: int | None = None
    ) -> str:
        """What the container wrote between two moments, or its last `tail` lines."""
        options: dict[str, Any] = {"tail": tail if tail is not None else "all"}
        if since is not None:
            options["since"] = _epoch(since)
        if until is not None:
            options["until"] = _epoch(until)
        container = self._ours(name)
        with _asked(f"read the log of {name}"):
            return bytes(container.logs(**options)).decode(errors="replace")

    def remove(self, name: str) -> None:
        """Remove a container of ours, running or not; PlatformError if it is not ours or will not go."""
        self._ours(name)
        self._remove(name)
        self._await(name, "to be gone", lambda: all(c.name != name for c in self.list()))

    def remove_run(self, run_id: str) -> builtins.list[str]:
        """Remove every container, network and volume labelled with the run; returns their names.

        A network that the engine cannot let go of (see `_remove_network`) is named as left: `is_left`.
        Raises PlatformError naming what else is left.
        """
        containers = self.list(run_id)
        with ThreadPoolExecutor(_REMOVERS) as pool:
            removed = list(pool.map(self._remove, [c.name for c in containers]))
        # Another process may be removing some; a network can't go before the last of them.
        self._await(f"run {run_id}", "to be gone", lambda: not self.list(run_id))
        labelled = {"label": f"{LABEL}.run={run_id}"}
        with _asked(f"remove the networks and volumes of run {run_id}"):
            for network in self.client.networks.list(filters=labelled):
                removed.append(self._remove_network(network))
            for volume in self.client.volumes.list(filters=labelled):
                with contextlib.suppress(NotFound):
                    volume.remove(force=True)
                removed.append(str(volume.name))
        return removed

    # -- inside ----------------------------------------------------------------------------------

    def _remove(self, name: str) -> str:
        with _asked(f"remove {name}"):
            try:
                self.client.api.remove_container(name, v=True, force=True)
            except NotFound:
                pass
            except APIError as error:
                # 409: another process (the watchdog, say) is removing it.
                if error.status_code != 409:
                    raise
        return name

    def _remove_network(self, network: Network) -> str:
        """Remove a network whose containers are gone; returns its name.

        Docker 20.10 sometimes refuses for good: its own count of endpoints has leaked. That harms nobody
        and only a restart of the engine mends it, so it is no error: the name says that it is left.
        """
        refusal = ""

        def refused() -> str | None:
            nonlocal refusal
            refusal = ""
            try:
                network.remove()
            except NotFound:
                return None
            except APIError as error:
                refusal = _why(error)
                return refusal
            return None

        name = str(network.name)
        try:
            wait_until(
                f"network {name} to be gone", refused, limit=_ENDPOINTS, every=0.5, error=PlatformError
            )
        except PlatformError:
            if "active endpoints" not in refusal:
                raise
            network.reload()
            if network.attrs.get("Containers"):
                raise
            return left(name)
        return name

    def _ours(self, name: str) -> DockerContainer:
        with _asked(f"find {name}"):
            container = self.client.containers.get(name)
        if f"{LABEL}.run" not in container.labels:
            raise PlatformError(f"{name} is not ours (it has no label {LABEL}.run): not touched")
        return container

    def _state(self, name: str) -> dict[str, Any]:
        return dict(self._ours(name).attrs["State"])

    def _await(self, name: str, what: str, check: Callable[[], bool]) -> None:
        wait_until(
            f"{name} {what}", lambda: None if check() else "not yet", limit=_SETTLE, error=PlatformError
        )


def _epoch(moment: Moment) -> float:
    return moment.timestamp() if isinstance(moment, datetime) else moment


def _container(data: dict[str, Any]) -> Container:
    labels = data.get("Labels") or {}

    def label(key: str) -> str:
        return str(labels.get(f"{LABEL}.{key}", ""))

    return Container(
        name=str(data["Names"][0]).lstrip("/") if data.get("Names") else str(data["Id"]),
        run_id=label("run"),
        stack=label("stack"),
        service=label("service"),
        zone=label("zone"),
        instance=label("instance"),
        part=label("part"),
        status=str(data.get("State", "")),
        image=str(data.get("Image", "")),
        ports={
            int(p["PrivatePort"]): int(p["PublicPort"]) for p in data.get("Ports") or () if "PublicPort" in p
        },
    )
