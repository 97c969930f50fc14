"""Redis Sentinel as an event source: what each Sentinel publishes, as it publishes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from blackstart.observe.source import Emit, Follow, ThreadedSource, short

if TYPE_CHECKING:
    from redis import Redis

    from blackstart.stack.running import RunningStack

#: Tripped while a Sentinel is in TILT: it noticed that time jumped or it was stalled, and acts on nothing.
GATE = "sentinel-tilt"
#: Sentinel's words for what it speaks of, and ours.
KINDS = {"master": "primary", "slave": "replica", "sentinel": "sentinel"}


def parse(channel: str, data: str) -> dict[str, Any]:
    """The fields of a message: of whom it speaks, and the rest as `detail`.

    `kind` (primary, replica, sentinel) and `server` say who it is about, `master` is the name of the group
    and `primary` who was primary of it. `+switch-master` has the old primary as `was`, the new as `server`.
    """
    words = data.split()
    if channel == "+switch-master" and len(words) == 5:
        return {"server": words[3], "was": words[1], "kind": "primary", "master": words[0]}
    if channel in ("+vote-for-leader", "+new-epoch") and words and words[-1].isdigit():
        return {"epoch": int(words[-1])}
    # <type> <name> <address> <port> [@ <master> <address> <port>] [what else there is to say]
    if len(words) < 4 or words[0] not in KINDS:
        return _rest(words)
    fields = {"server": words[2], "kind": KINDS[words[0]], "master": words[1], "primary": words[2]}
    if words[4:5] != ["@"]:
        return {**fields, **_rest(words[4:])}
    fields |= {"master": words[5], "primary": words[6]} if len(words) >= 8 else {}
    return {**fields, **_rest(words[8:])}


def _rest(words: Sequence[str]) -> dict[str, str]:
    text = " ".join(words).removeprefix("#")
    return {"quorum": text.removeprefix("quorum ")} if text.startswith("quorum ") else _detail(text)


def _detail(text: str) -> dict[str, str]:
    return {"detail": text} if text else {}


class SentinelSource(ThreadedSource):
    """Events named as Sentinel names them (`+sdown`, `+odown`, `+switch-master`, …) from every instance of
    `service`, and `primary`: whom it holds to be primary when it is first heard.

    While one is in TILT the gate `sentinel-tilt` trips. `every` is the time between pings, in seconds.
    """

    name = "sentinel"

    def __init__(self, service: str = "sentinel", port: str = "sentinel", every: float = 0.5) -> None:
        super().__init__()
        self.service, self.port, self.every = service, port, every

    def follow(self, running: RunningStack) -> Iterable[tuple[Mapping[str, str], Follow]]:
        """Each Sentinel on a connection of its own."""
        for instance in running.stack.of(self.service):
            address = running.address(instance.name, self.port)
            yield {"instance": instance.name}, partial(self._stay, instance.name, address)

    def _stay(self, instance: str, address: tuple[str, int], emit: Emit, stop: threading.Event) -> None:
        """Listen, and again when the Sentinel was gone."""
        # Imported late: the pytest plugin loads in suites that never talk to Redis.
        from redis import RedisError

        told = _Told(instance, emit)
        while not stop.is_set():
            try:
                with self._client(address) as client:
                    self._listen(client, told, stop)
            except (RedisError, OSError) as error:
                told.gone(short(error))
            stop.wait(self.every)

    def _client(self, address: tuple[str, int]) -> Redis:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis(
            host=address[0],
            port=address[1],
            socket_timeout=self.timeout,
            socket_connect_timeout=self.timeout,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            protocol=2,
        )

    def _listen(self, client: Redis, told: _Told, stop: threading.Event) -> None:
        """Until told to stop. Raises RedisError or OSError when the Sentinel is gone or silent."""
        with client.pubsub() as heard:  # type: ignore[no-untyped-call]
            heard.psubscribe("*")
            # Asked after it confirmed (on a connection of its own, so nothing else orders the two): what
            # changes in between is told twice rather than not at all.
            if heard.get_message(timeout=self.timeout) is None:
                raise TimeoutError("timed out")
            told.found(client)
            last = asked = time.monotonic()
            while not stop.is_set():
                message = heard.get_message(timeout=min(0.1, self.every))
                now = time.monotonic()
                if message is not None:
                    last = now
                    if message["type"] == "pmessage":
                        told.said(message["channel"], message["data"])
                elif now - last > self.timeout + self.every:
                    raise TimeoutError("timed out")
                if now - asked >= self.every:
                    # A frozen Sentinel keeps its connection; only an answer shows that it is alive.
                    heard.ping()
                    asked = now
                    told.tilting()


class _Told:
    """What one Sentinel said, as events."""

    def __init__(self, instance: str, emit: Emit) -> None:
        self._instance, self._emit = instance, emit
        self._reachable: bool | None = None
        self._primaries: dict[str, str] = {}
        self._tilt = False

    def found(self, client: Redis) -> None:
        """What it says of the present: its primaries, and whether it is in TILT."""
        if self._reachable is False:
            self._say("reachable")
        self._reachable = True
        state = client.info("sentinel")
        if state.get("sentinel_tilt"):
            # Published before we listened, as when a Sentinel thaws: it says so once only.
            self._say("+tilt", detail=f"for {state.get('sentinel_tilt_since_seconds', 0)} s already")
        self._set_tilt(bool(state.get("sentinel_tilt")))
        masters = cast(Mapping[str, Mapping[str, Any]], client.sentinel_masters())
        for name, master in masters.items():
            primary = str(master["ip"])
            if self._primaries.get(name) != primary:
                was = {"was": self._primaries[name]} if name in self._primaries else {}
                self._say("primary", server=primary, master=name, **was)
                self._primaries[name] = primary

    def said(self, channel: str, data: str) -> None:
        """A message that it published."""
        if not channel.startswith(("+", "-")):
            return
        fields = parse(channel, data)
        self._say(channel, **fields)
        if channel == "+switch-master" and "server" in fields:
            self._primaries[fields["master"]] = fields["server"]
        if channel in ("+tilt", "-tilt"):
            self._set_tilt(channel == "+tilt")

    def gone(self, why: str) -> None:
        """It cannot be reached; told once."""
        if self._reachable is not False:
            self._say("unreachable", reason=why)
        self._reachable, self._tilt = False, False

    def tilting(self) -> None:
        """Trip the gate again if it is in TILT still."""
        if self._tilt:
            self._emit("gate", "trip", gate=GATE, instance=self._instance)

    def _set_tilt(self, tilt: bool) -> None:
        self._tilt = tilt
        self.tilting()

    def _say(self, event: str, **fields: Any) -> None:
        self._emit("sentinel", event, instance=self._instance, **fields)
