"""Heal: undo what dead runs left in force, and remove the stacks that were to go with them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from blackstart.faults import fault_type
from blackstart.faults._helpers import end_all
from blackstart.faults._network import clear_all
from blackstart.faults.suspend import resume_all
from blackstart.injection.expiry import fire_all
from blackstart.injection.journal import Entry, Journal
from blackstart.injection.lock import RunLock
from blackstart.injection.state import RunRecord, boot_id, runs, state_dir
from blackstart.injection.undoing import goes_first, undo_fully
from blackstart.model.errors import HarnessError, LockHeld, PlatformError
from blackstart.platforms import engine
from blackstart.platforms.capabilities import PATTERN, is_left, lost_name
from blackstart.toxiproxy.client import PROXY_API_PORT, ToxiproxyClient

#: Seconds to undo each fault; a process that nobody restarts takes its grace and a restart.
LIMIT_S = 60.0


@dataclass(frozen=True)
class Healed:
    """What was done about one run; `failed` names what is left and how to undo it by hand."""

    run_id: str
    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class HealReport:
    """What was done about each run that needed something."""

    runs: tuple[Healed, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is left."""
        return not any(r.failed for r in self.runs)

    @property
    def lines(self) -> list[str]:
        """For people, one line a deed; empty if there was nothing to do."""
        return [f"run {r.run_id}: {line}" for r in self.runs for line in (*r.done, *r.failed)]


def heal(run_id: str | None = None, all: bool = False, platform: Any = None) -> HealReport:
    """Heal the dead runs of this user, or only `run_id`; with `all` also runs that left no journal here.

    A live run of this user is never touched: naming one raises LockHeld. One that left no journal here may
    be live elsewhere: ask first. A stack that was to be kept stays; a run of another engine is left as it is.
    The engine (default: the local one) is asked only if there is something to heal. Raises PlatformError.
    """
    healed = []
    for run in [run_id] if run_id is not None else runs():
        try:
            with RunLock(run) if state_dir(run).exists() else _Nobody():
                platform = platform or (_local() if _needs(run) else None)
                if platform is not None:
                    healed.append(_heal_own(run, platform))
        except LockHeld:
            if run_id is not None:
                raise
    if all or (run_id is not None and not state_dir(run_id).exists()):
        platform = platform or _local()
        known = set(runs())
        foreign = [r for r in platform.runs() if r not in known and run_id in (None, r)]
        healed += [_heal_foreign(run, platform) for run in foreign]
    return HealReport(tuple(h for h in healed if h.done or h.failed))


def undo_entries(
    entries: Sequence[Entry],
    journal: Journal,
    platform: Any,
    *,
    by: str,
    limit_s: float,
    late_s: float = 0.0,
) -> tuple[list[str], list[str]]:
    """Undo all `entries` and close them; (what was undone, what was not and what to do).

    They are given newest first, and undone at once but for those that must wait for a newer one.

    With `late_s` each is undone once more so many seconds later, should what a dead process asked of the
    engine have struck only then.
    """
    if not entries:
        return [], []

    def undo(entry: Entry, before: list[Future[tuple[bool, str]]]) -> tuple[bool, str]:
        wait(before)
        what = f"{entry.undo.kind} of {', '.join(entry.undo.targets)}"
        deadline = time.monotonic() + limit_s
        try:
            containers = platform.list(entry.undo.run_id)
            if not containers:
                journal.close(entry.id, by="removal")
                return True, f"gone with its containers: {what}"
            rebooted = entry.boot_id != boot_id() and engine.local()
            if rebooted and not any(c.status in ("running", "paused") for c in containers):
                if fault_type(entry.undo.kind).persistent:
                    return False, f"left until its containers run again (blackstart heal): {what}"
                journal.close(entry.id, by="reboot")
                return True, f"gone since the machine was started anew: {what}"
            undo_fully(entry.undo, platform, limit_s, min(limit_s * 0.75, 20.0))
            if late_s:
                threading.Event().wait(late_s)
                rest_s = max(0.5, deadline - time.monotonic())
                undo_fully(entry.undo, platform, rest_s, rest_s * 0.75)
        except Exception as error:  # noqa: BLE001 - one bad record must not keep the other faults in force
            return False, str(error) or repr(error)
        journal.close(entry.id, by=by)
        return True, f"undone: {what}"

    with ThreadPoolExecutor(len(entries), thread_name_prefix="undo") as pool:
        jobs: list[Future[tuple[bool, str]]] = []
        for entry in entries:
            newer = zip(jobs, entries, strict=False)
            before = [job for job, other in newer if goes_first(other.undo, entry.undo)]
            jobs.append(pool.submit(undo, entry, before))
    results = [job.result() for job in jobs]
    return [t for ok, t in results if ok], [t for ok, t in results if not ok]


def of_another_engine(run_id: str, platform: Any) -> str | None:
    """Which engine the run is on if not on `platform`'s, in words; None if on this one, or if unknown.

    To this engine such a run looks as if all of it were gone, while its faults are in force over there.
    """
    record = RunRecord.read(run_id)
    if record is None or not record.engine or record.engine == (here := platform.engine_id()):
        return None
    return (
        f"left as it is: it belongs to the Docker engine {record.engine}, and this is {here}; "
        f"set DOCKER_HOST to that one (or, if it is no more, delete {state_dir(run_id)})"
    )


def _heal_own(run_id: str, platform: Any) -> Healed:
    if elsewhere := of_another_engine(run_id, platform):
        return Healed(run_id, failed=(elsewhere,))
    journal = Journal(run_id)
    done, failed = undo_entries(journal.in_force(), journal, platform, by="heal", limit_s=LIMIT_S)
    record = RunRecord.read(run_id)
    if record is not None and record.remove_stack:
        failed = []  # what could not be undone goes with its containers
        try:
            if removed := platform.remove_run(run_id):
                kept = [name for name in removed if is_left(name)]
                count = len(removed) - len(kept)
                done += [f"removed what it left: {count} containers, networks and volumes", *kept]
        except PlatformError as error:
            failed.append(f"not removed: {error}; by hand: blackstart down {run_id}")
    if not failed and not platform.list(run_id):
        shutil.rmtree(state_dir(run_id), ignore_errors=True)
    return Healed(run_id, tuple(done), tuple(failed))


def _needs(run_id: str) -> bool:
    record = RunRecord.read(run_id)
    return bool(Journal(run_id).in_force()) or (record is not None and record.remove_stack)


def _heal_foreign(run_id: str, platform: Any) -> Healed:
    """Without a journal: let what is frozen or stopped go on, start services that are down, make anew those
    that were lost, make every proxy and network as new, have helpers that would end a fault later end it
    now, and end the others.

    A provider's script ends by itself. What a fault did to the data of a service stays.
    """
    done, failed = [], []
    containers = platform.list(run_id)
    for container in _sidecars_first(containers):
        try:
            if container.part == PATTERN:
                platform.remake(lost_name(container.name))
                done.append(f"made anew, empty: {lost_name(container.name)}")
                continue
            if platform.is_paused(container.name):
                platform.unpause(container.name)
                done.append(f"let go on: {container.name}")
            running = platform.is_running(container.name)
            if running:
                done += _mended(container.name, container.part == "sidecar", platform)
            elif container.part == "sidecar":
                # Its edges were in its memory, and nothing here tells which they were: a start would only
                # make it look well.
                failed.append(f"{container.name}: edges lost: take the run down (blackstart down {run_id})")
            else:
                platform.start(container.name)
                done.append(f"started: {container.name}")
        except HarnessError as error:
            failed.append(f"{container.name}: {error}")
    return Healed(run_id, tuple(done), tuple(failed))


def _mended(name: str, sidecar: bool, platform: Any) -> list[str]:
    """Take back whatever a fault left inside a container that runs; what was done."""
    done = [f"taken from {name}: {what}" for what in clear_all(platform, name)] if sidecar else []
    if fired := fire_all(platform, name):
        done.append(f"ended what {fired} helpers in {name} were to end later")
    if platform.cpu_limit(name) is not None:
        platform.limit_cpu(name, None)
        done.append(f"no limit of processors any more: {name}")
    end_all(platform, name)  # lest one goes on with what is taken back next
    done += [f"let go on: {process} of {name}" for process in resume_all(platform, name)]
    return done + (_reset(name, platform) if sidecar else [])


def _reset(sidecar: str, platform: Any) -> list[str]:
    port = platform.bindings(sidecar).get(PROXY_API_PORT)
    if port is None:
        raise PlatformError("publishes no Toxiproxy")
    client = ToxiproxyClient(f"http://127.0.0.1:{port}")
    if all(p.enabled and not p.toxics() for p in client.proxies().values()):
        return []
    client.reset()
    return [f"every edge as new: {sidecar}"]


def _sidecars_first(containers: Iterable[Any]) -> list[Any]:
    return sorted(containers, key=lambda c: c.part != "sidecar")


def _local() -> Any:
    from blackstart.platforms.docker import DockerPlatform

    return DockerPlatform(engine.connect(timeout_s=20))


class _Nobody:
    """The lock of a run that never had a folder here."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
