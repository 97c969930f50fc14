"""The container engine as an event source: which containers of the run died, froze or came back, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from blackstart.model.errors import HarnessError
from blackstart.observe.source import Emit, claimed, short

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

ACTIONS = ("die", "kill", "oom", "pause", "unpause", "start")
#: Seconds between attempts to reach an engine that is gone.
RETRY_S = 0.5
#: The engine dates events by the clock of its host, which for a local engine is ours.
ERROR_S = 0.001


class ContainerSource:
    """Events `die`, `kill`, `oom`, `pause`, `unpause`, `start` of the run's containers, as the engine dates
    them, and `unreachable`, `reachable` of the engine itself."""

    name = "container"

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream: Any = None

    def start(self, running: RunningStack, emit: Emit) -> None:
        """Follow the engine's events from now on; HarnessError if it is running already."""
        if self._thread is not None:
            raise HarnessError(f"event source {self.name!r} is running already")
        self._stop = threading.Event()
        since = time.time_ns()
        self._thread = threading.Thread(
            target=self._run, args=(running, emit, since), name=f"{self.name}:events", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop following; the stream is cut, so this does not wait for the next event."""
        if self._thread is None:
            return
        self._stop.set()
        thread = self._thread
        # The thread may be about to open its stream: cut whatever is open until it has ended.
        for _ in range(50):
            self._cut()
            thread.join(0.1)
            if not thread.is_alive():
                break
        self._thread = None

    def _cut(self) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            stream.close()
        except (OSError, AttributeError):
            # Already closed, from the other side.
            self._stream = None

    def _run(self, running: RunningStack, emit: Emit, since_ns: int) -> None:
        stop, reached = self._stop, True
        # The engine repeats what happened at exactly `since`.
        told: set[tuple[str, str]] = set()
        while not stop.is_set():
            try:
                self._stream = self._open(running, since_ns)
                if not reached:
                    emit(self.name, "reachable", detail="container engine")
                    reached = True
                for event in self._stream:
                    at, key = int(event["timeNano"]), (str(event["id"]), str(event["Action"]))
                    if stop.is_set() or at < since_ns or (at == since_ns and key in told):
                        continue
                    told = {*told, key} if at == since_ns else {key}
                    since_ns = at
                    emit(self.name, str(event["Action"]), **_fields(event))
            except Exception as error:  # noqa: BLE001
                # The SDK raises what it pleases from a stream that is cut; whatever it is, it is evidence.
                if reached and not stop.is_set():
                    emit(self.name, "unreachable", detail="container engine", reason=short(error))
                    reached = False
            stop.wait(RETRY_S)

    def _open(self, running: RunningStack, since_ns: int) -> Any:
        seconds, nanos = divmod(since_ns, 10**9)
        # The engine takes fractions of seconds; the SDK's own type for it does not.
        since: Any = f"{seconds}.{nanos:09d}"
        filters = {
            "type": ["container"],
            "event": list(ACTIONS),
            "label": [f"blackstart.run={running.run_id}"],
        }
        return running.platform.client.api.events(since=since, filters=filters, decode=True)


def _fields(event: Mapping[str, Any]) -> dict[str, Any]:
    told = event["Actor"]["Attributes"]
    fields: dict[str, Any] = {
        "instance": told.get("blackstart.instance", told.get("name", "?")),
        "part": told.get("blackstart.part", "service"),
    }
    if "exitCode" in told:
        fields["exit_code"] = int(told["exitCode"])
    if "signal" in told:
        fields["signal"] = told["signal"]
    return {**fields, **claimed(int(event["timeNano"]) / 1e9, ERROR_S)}
