"""A platform in memory, for faults and injections without an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blackstart.model.errors import PlatformError
from blackstart.model.selector import Selector
from blackstart.model.stack import Image, Instance, Stack
from blackstart.platforms.capabilities import Container, ExecResult

IMAGE = Image("none", Path())


@dataclass(frozen=True)
class FixedRoles:
    """Roles as told."""

    held: Mapping[str, str]
    roles: tuple[str, ...] = ("primary", "replica")

    def resolve(self, running: object, service: str) -> dict[str, str]:
        return dict(self.held)


def stack(**held: str) -> Stack:
    """Two databases, the second of which calls the first, and an app that calls both."""
    return Stack(
        "fake",
        IMAGE,
        (
            Instance(
                "pg-1",
                "postgres",
                IMAGE,
                {"postgres": 5432, "patroni": 8008},
                publish=("patroni",),
                plays=("postgres", "redis"),
            ),
            Instance(
                "pg-2",
                "postgres",
                IMAGE,
                {"postgres": 5432, "patroni": 8008},
                "b",
                calls=("pg-1",),
                publish=("patroni",),
                plays=("postgres", "redis"),
            ),
            Instance("app-1", "app", IMAGE, {"http": 8000}, calls=("pg-1", "pg-2")),
        ),
        roles={"postgres": FixedRoles({k.replace("_", "-"): v for k, v in held.items()})},
    )


@dataclass
class FakePlatform:
    """Containers with processes; `supervised` names bring killed processes back with new pids."""

    run_id: str = "r1"
    state: dict[str, str] = field(default_factory=dict)
    processes: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    supervised: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    broken: bool = False
    engine: str = "ENGINE-1"
    #: What `exec` answers, if told; else the names of the processes.
    answer: Callable[[str, Sequence[str]], ExecResult] | None = None
    host_ports: dict[int, int] = field(default_factory=dict)
    next_pid: int = 1000
    code: int = 143
    schedulers: tuple[str, ...] = ("htb", "tbf")
    cpus: dict[str, float | None] = field(default_factory=dict)

    def engine_id(self) -> str:
        return self.engine

    def list(self, run_id: str | None = None) -> list[Container]:
        return [
            Container(
                n,
                self.run_id,
                "fake",
                "",
                "",
                n.removeprefix(f"bs-{self.run_id}-").removesuffix("-net"),
                "sidecar" if n.endswith("-net") else "service",
                s,
                "",
                {},
            )
            for n, s in self.state.items()
            if run_id in (None, self.run_id)
        ]

    def bindings(self, name: str) -> Mapping[int, int]:
        return self.host_ports

    def is_running(self, name: str) -> bool:
        self._reach(name)
        return self.state[name] in ("running", "paused")

    def is_paused(self, name: str) -> bool:
        self._reach(name)
        return self.state[name] == "paused"

    def addresses(self, name: str) -> Sequence[str]:
        """One by the order of the names."""
        names = sorted(self.state)
        return [f"10.0.0.{names.index(name) + 1}"] if self.is_running(name) else []

    def has_scheduler(self, name: str, scheduler: str) -> bool:
        return scheduler in self.schedulers

    def kill(self, name: str) -> None:
        self._to(name, "exited")

    def start(self, name: str) -> None:
        self._to(name, "running")
        for process in self.processes.get(name, {}):
            self.processes[name][process] = [self._pid()]

    def stop(self, name: str, timeout_s: float) -> None:
        self._to(name, "exited")

    def started(self, name: str) -> str:
        """Changes with each start."""
        return str(self.log.count(f"running {name}"))

    def exit_code(self, name: str) -> int:
        return self.code

    def pause(self, name: str) -> None:
        self._to(name, "paused")

    def unpause(self, name: str) -> None:
        self._to(name, "running")

    def cpu_limit(self, name: str) -> float | None:
        self._reach(name)
        return self.cpus.get(name)

    def oom_killed(self, name: str) -> bool:
        return False

    def limit_cpu(self, name: str, cpus: float | None) -> None:
        self._reach(name)
        self.cpus[name] = cpus

    def lose(self, name: str) -> None:
        if self.state.pop(name, None) is not None:
            self.log.append(f"lost {name}")

    def remake(self, name: str) -> None:
        self.state.setdefault(name, "created")
        self.start(name)

    def is_lost(self, name: str) -> bool:
        return name not in self.state

    def exec(self, name: str, cmd: Sequence[str], timeout: float = 10.0) -> ExecResult:
        if "nproc" in cmd:
            return ExecResult(0, "2")
        if self.answer is not None:
            return self.answer(name, cmd)
        return ExecResult(0, "\n".join(self.processes.get(name, {})))

    def pids(self, name: str, process: str) -> Sequence[int]:
        self._reach(name)
        return self.processes.get(name, {}).get(process, [])

    def signal_process(self, name: str, process: str, signal: str) -> Sequence[int]:
        hit = list(self.pids(name, process))
        self.log.append(f"{signal} {process} {name}")
        self.processes[name][process] = [self._pid()] if name in self.supervised else []
        return hit

    def remove_run(self, run_id: str) -> Sequence[str]:
        gone = list(self.state)
        self.state.clear()
        return gone

    def runs(self) -> Sequence[str]:
        return [self.run_id] if self.state else []

    def _pid(self) -> int:
        self.next_pid += 1
        return self.next_pid

    def _to(self, name: str, state: str) -> None:
        self._reach(name)
        self.state[name] = state
        self.log.append(f"{state} {name}")

    def _reach(self, name: str) -> None:
        if self.broken:
            raise PlatformError("the Docker engine does not answer")
        if name not in self.state:
            raise PlatformError(f"cannot find {name}")


@dataclass
class FakeSite:
    """A running stack on a FakePlatform; `apis` gives the Toxiproxy URL by instance."""

    stack: Stack
    platform: FakePlatform
    run_id: str = "r1"
    apis: dict[str, str] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    def resolve(self, selector: str) -> tuple[Instance, ...]:
        wanted = Selector.parse(selector)
        wanted.validate(self.stack)
        if wanted.name in self.stack.by_name:
            return (self.stack.instance(wanted.name),)
        roles = self.role_map(wanted.name) if wanted.role else {}
        return tuple(i for i in self.stack.of(wanted.name) if roles.get(i.name) == wanted.role)

    def container(self, instance: str) -> str:
        return f"bs-{self.run_id}-{instance}"

    def sidecar(self, instance: str) -> str:
        return f"{self.container(instance)}-net"

    @property
    def keeper(self) -> str:
        return f"bs-{self.run_id}-disks"

    def proxy_api(self, instance: str) -> str:
        return self.apis[instance]

    def url(self, instance: str, port: str, path: str = "") -> str:
        return self.urls[instance] + path

    def role_map(self, service: str) -> Mapping[str, str]:
        return dict(self.stack.roles[service].resolve(self, service))


def site(**held: str) -> FakeSite:
    """A site where everything runs; roles as given, by default pg-1 is primary."""
    declared = stack(**(held or {"pg_1": "primary", "pg_2": "replica"}))
    platform = FakePlatform()
    made = FakeSite(declared, platform)
    for instance in declared.instances:
        for name in (made.container(instance.name), made.sidecar(instance.name)):
            platform.state[name] = "running"
    for name in ("bs-r1-pg-1", "bs-r1-pg-2"):
        platform.processes[name] = {"postgres": [20, 21, 22], "patroni": [7], "tini": [1]}
        platform.supervised.add(name)
    return made
