"""Event sources: what the components say happened, written beside what clients saw.

A source emits on change only, first of all what it finds. An event that a poll found happened at most
`within_s` before its `time`; where the component itself dates it, `source_time` is that claim (RFC 3339)
and `source_error_s` how coarse it is.

A source that finds that no timing can be trusted trips a gate: `emit("gate", "trip", gate=name)`, again and
again while it lasts. The drill records the first one that falls into what it measures.
"""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from blackstart.model.errors import HarnessError
from blackstart.observe.http import UNREACHABLE

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


class Emit(Protocol):
    """Where events go; thread-safe. `history.writer.EventWriter.write` is one."""

    def __call__(self, source: str, event: str, **fields: Any) -> object: ...


#: Tells what happens at one place until the event is set.
Follow = Callable[[Emit, threading.Event], None]


class Source(Protocol):
    """Something that tells what happens in a running stack; may be started again after a stop."""

    @property
    def name(self) -> str: ...

    def start(self, running: RunningStack, emit: Emit) -> None:
        """Begin to emit, from threads of its own; returns at once."""
        ...

    def stop(self) -> None:
        """Emit nothing more; nothing happens to one that is not running."""
        ...


@dataclass(frozen=True)
class Fact:
    """What a poll found of one subject: an event when any of `values` differs from the last poll.

    `of` names the subject within the instance. The event is called as the first value that changed, or as
    `named` says for it; it carries all values, the old one as `was`, and `extra`, which is not compared.
    `claims` are further fields of the event of one value's change.
    """

    values: Mapping[str, Any]
    of: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """The subject, hashable."""
        return tuple(sorted(self.of.items()))

    @property
    def fields(self) -> dict[str, Any]:
        """All that an event of this fact says."""
        return {**self.of, **self.values, **self.extra}


@dataclass(frozen=True)
class Watch:
    """A place to poll: `poll` asks once, within its own timeout, and raises one of `UNREACHABLE`.

    `gone` are fields of the event that says so.
    """

    place: Mapping[str, str]
    poll: Callable[[], Sequence[Fact]]
    gone: Mapping[str, Any] = field(default_factory=dict)


class Changes:
    """The difference between successive polls of one place."""

    def __init__(self, watch: Watch, name: str, emit: Emit) -> None:
        self._watch, self._name, self._emit = watch, name, emit
        self._last: dict[tuple[tuple[str, str], ...], Mapping[str, Any]] = {}
        self._reachable: bool | None = None
        self._heard: float | None = None

    def answered(self, facts: Iterable[Fact], now: float) -> None:
        """A poll ended at `now` (monotonic seconds) and found `facts`."""
        within = {} if self._heard is None else {"within_s": round(now - self._heard, 3)}
        facts = list(facts)
        if self._reachable is False:
            # What is said of the instance as a whole belongs to this event; it needs no second one.
            whole = next((f for f in facts if not f.of), None)
            if whole is not None:
                self._last[whole.key] = whole.values
            self._say("reachable", {**(whole.fields if whole else {}), **within})
        self._reachable, self._heard = True, now
        for fact in facts:
            self._compare(fact, within)

    def silent(self, why: BaseException, now: float) -> None:
        """A poll ended at `now` without an answer."""
        if self._reachable is not False:
            within = {} if self._heard is None else {"within_s": round(now - self._heard, 3)}
            self._say("unreachable", {**self._watch.gone, "reason": short(why), **within})
        self._reachable = False

    def _compare(self, fact: Fact, within: Mapping[str, float]) -> None:
        last = self._last.get(fact.key, {})
        changed = [k for k, v in fact.values.items() if k not in last or last[k] != v]
        if not changed:
            return
        self._last[fact.key] = fact.values
        first = changed[0]
        was = {"was": last[first], **within} if first in last else {}
        self._say(fact.named.get(first, first), {**fact.fields, **fact.claims.get(first, {}), **was})

    def _say(self, event: str, fields: Mapping[str, Any]) -> None:
        self._emit(self._name, event, **self._watch.place, **fields)


class ThreadedSource(ABC):
    """A source with a thread for each place that it watches, so that a frozen one does not blind the others.

    `timeout` is how long one request to a place may take, in seconds.
    """

    name: str
    timeout: float = 1.0

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @abstractmethod
    def follow(self, running: RunningStack) -> Iterable[tuple[Mapping[str, str], Follow]]:
        """The places, each with what follows it until told to stop; ConfigError if the stack lacks them."""

    def start(self, running: RunningStack, emit: Emit) -> None:
        """Tell of every place from now on; HarnessError if it is running already."""
        if self._threads:
            raise HarnessError(f"event source {self.name!r} is running already")
        self._stop = threading.Event()
        for place, follow in self.follow(running):
            thread = threading.Thread(
                target=self._run,
                args=(place, follow, emit, self._stop),
                name=f"{self.name}:{' '.join(place.values())}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stop telling; waits for requests under way, at most their timeout."""
        self._stop.set()
        for thread in self._threads:
            thread.join(self.timeout + 1)
        self._threads = []

    def _run(self, place: Mapping[str, str], follow: Follow, emit: Emit, stop: threading.Event) -> None:
        def unless_stopped(source: str, event: str, **fields: Any) -> None:
            if not stop.is_set():
                emit(source, event, **fields)

        try:
            follow(unless_stopped, stop)
        except Exception as error:  # noqa: BLE001
            # A defect here must show in the evidence instead of ending with its thread.
            unless_stopped(self.name, "source-failed", **place, reason=repr(error))


class PollingSource(ThreadedSource):
    """A source that asks; subclasses say where and what. `every` is in seconds."""

    every: float = 0.2

    @abstractmethod
    def watches(self, running: RunningStack) -> Iterable[Watch]:
        """The places to poll; ConfigError if the stack does not have them."""

    def follow(self, running: RunningStack) -> Iterable[tuple[Mapping[str, str], Follow]]:
        """Poll each watch."""
        for watch in self.watches(running):
            yield watch.place, partial(self._poll_on, watch)

    def _poll_on(self, watch: Watch, emit: Emit, stop: threading.Event) -> None:
        changes = Changes(watch, self.name, emit)
        while not stop.is_set():
            began = time.monotonic()
            try:
                facts = watch.poll()
            except UNREACHABLE as error:
                changes.silent(error, time.monotonic())
            else:
                changes.answered(facts, time.monotonic())
            stop.wait(max(0.0, self.every - (time.monotonic() - began)))


def claimed(epoch_s: float | None, error_s: float) -> dict[str, Any]:
    """The fields for a time that a component claims, in epoch seconds; none if it claims none."""
    if epoch_s is None:
        return {}
    stamp = datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds")
    return {"source_time": stamp.replace("+00:00", "Z"), "source_error_s": error_s}


_NOISE = re.compile(
    r"^HTTP\w+\([^)]*\): (Failed to establish a new connection: )?|^.*object at 0x\w+>: "
    r"| \((read|connect) timeout=[\d.]+\)"
)


def short(why: BaseException) -> str:
    """An error in one line, without the library's own names for things."""
    # urllib3 keeps the cause as `reason`, or as the last argument.
    cause = getattr(why, "reason", None) or (why.args[-1] if why.args else None)
    text = str(cause if isinstance(cause, BaseException) else why) or type(why).__name__
    return _NOISE.sub("", text.splitlines()[0])[:200]
