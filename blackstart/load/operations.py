"""What the load does, as data: operations and the plan that holds them.

Every class round-trips through a dict by its `kind`; nothing here touches the network.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

import orjson

from blackstart.load import templates
from blackstart.load.events import PARTS
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError

TIMELINE = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
"""SQL for the current Postgres timeline; it fails on a standby (SQLSTATE 55000), as it should."""

WRITE = f"""\
INSERT INTO probe_ledger (key, id) VALUES ($1, $2)
RETURNING current_setting('blackstart.node', true) AS node, {TIMELINE} AS term"""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

READ = "SELECT id FROM probe_ledger WHERE key = $1 ORDER BY at"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What all kinds of operation have in common.

    `f` names the kind in the history; `rate` is per second (0 in a closing read); `deadline` counts from
    the send. `keys` is the number of ledger keys (sessions) that a writer goes around. A reader names in
    `key_from` the writer whose keys it reads: under load those with an acknowledged write, at closing all.
    `slots` bounds this kind's operations in flight (default: the plan's bound).
    """

    kind: ClassVar[str] = ""
    writes: ClassVar[bool] = False
    one_at_a_time: ClassVar[bool] = False
    """No two operations in flight on one key, as a user sends one message at a time."""

    f: str
    rate: float = 0.0
    deadline: Duration = "1s"
    keys: int = 8
    key_from: str | None = None
    slots: int | None = None

    def __post_init__(self) -> None:
        where = f"operation {self.f!r}"
        if not self.f:
            raise ConfigError("an operation needs a name: f")
        if self.rate < 0:
            raise ConfigError(f"{where}: rate must not be negative: {self.rate}")
        if seconds(self.deadline) <= 0:
            raise ConfigError(f"{where}: deadline must be positive: {self.deadline!r}")
        if self.keys < 1 or (self.slots is not None and self.slots < 1):
            raise ConfigError(f"{where}: keys and slots must be at least 1")

    @property
    def is_write(self) -> bool:
        """True if its acknowledgements enter the ledger."""
        return self.writes

    @property
    def is_read(self) -> bool:
        """True if its ok carries the ids that a key holds."""
        return False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with `kind`."""
        return {"kind": self.kind} | {
            f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.init
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Operation:
        """The operation of `data["kind"]`; ConfigError for an unknown kind or field."""
        kind = data.get("kind")
        if kind not in KINDS:
            raise ConfigError(f"unknown kind of operation {kind!r}; valid are {', '.join(sorted(KINDS))}")
        return KINDS[kind]._build(data)

    @classmethod
    def _build(cls, data: Mapping[str, Any]) -> Self:
        valid = {f.name for f in dataclasses.fields(cls)}
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name != "kind"
        }
        if unknown := sorted(set(given) - valid):
            raise ConfigError(
                f"operation {cls.kind!r}: unknown field {', '.join(unknown)}; "
                f"valid are {', '.join(sorted(valid))}"
            )
        try:
            return cls(**given)
        except TypeError as error:
            raise ConfigError(f"operation {cls.kind!r}: {error}") from None


KINDS: dict[str, type[Operation]] = {}
"""Kinds of operation by name."""

_Kind = TypeVar("_Kind", bound=type[Operation])


def register(cls: _Kind) -> _Kind:
    """Class decorator: make a kind of operation known to `from_dict`."""
    KINDS[cls.kind] = cls
    return cls


@register
@dataclass(frozen=True, kw_only=True)
class HttpOperation(Operation):
    """A request. `urls` are the bases a client knows; they are taken in turn. The next is tried where the
    connection was not made, so that nothing can have been applied, and where it broke before the answer and
    the request may be repeated: a GET, or one with an `Idempotency-Key`. All tries share one deadline.
    `ca` is a file of the authorities that https trusts, instead of the system's.

    Strings of `path`, `headers` and the JSON `body` are templates (see `templates.NAMES`). With `id` it is
    a ledger write of key `key` (default `{session}`); with `ids_from`, the dotted path of a list in the
    JSON answer, a read. `ack`: the dotted path of a field that must equal the id, or a 2xx is no
    acknowledgement. `not_found`: statuses that mean "this key holds nothing" to a read. `stream`: the answer
    comes as server-sent events, of which `done` names the one whose JSON data is the answer, `piece` the one
    that carries its text bit by bit (`"token.text"`: in the event `token` at the path `text`), `void` the one
    that takes back what was said so far, and `whole` the path of the text in the answer; what was said must
    in the end be that text.
    """

    kind: ClassVar[str] = "http"
    one_at_a_time: ClassVar[bool] = True

    urls: tuple[str, ...]
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    key: str | None = None
    id: str | None = None
    ids_from: str | None = None
    ack: str | None = None
    not_found: tuple[int, ...] = ()
    stream: Mapping[str, str] = field(default_factory=dict)
    connect_timeout: Duration = "2s"
    ca: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"operation {self.f!r}"
        if not self.urls:
            raise ConfigError(f"{where}: no urls")
        for url in self.urls:
            if not url.startswith(("http://", "https://")):
                raise ConfigError(f"{where}: not an http(s) URL: {url!r}")
        if self.method not in METHODS:
            raise ConfigError(f"{where}: unknown method {self.method!r}; valid are {', '.join(METHODS)}")
        if not self.path.startswith("/"):
            raise ConfigError(f"{where}: path must start with /: {self.path!r}")
        if seconds(self.connect_timeout) <= 0:
            raise ConfigError(f"{where}: connect_timeout must be positive")
        if unknown := sorted(set(self.stream) - set(PARTS)):
            raise ConfigError(f"{where}: a stream has no {', '.join(unknown)}; it has: {', '.join(PARTS)}")
        if self.stream and "done" not in self.stream:
            raise ConfigError(f"{where}: a stream needs the name of its last event: done")
        if "{prompt}" in self.path or any(set("\r\n") & set(value) for value in self.headers.values()):
            raise ConfigError(f"{where}: a path holds no prompt and a header no line end")
        for name in ("path", "key", "id"):
            templates.check(getattr(self, name) or "", f"{where}, {name}")
        templates.check_json(dict(self.headers), f"{where}, headers")
        templates.check_json(self.body, f"{where}, body")

    @property
    def is_write(self) -> bool:
        return self.id is not None

    @property
    def repeatable(self) -> bool:
        """True if the server applies the request once, however often it is sent."""
        return self.method == "GET" or "idempotency-key" in {name.lower() for name in self.headers}

    @property
    def is_read(self) -> bool:
        return self.ids_from is not None


@dataclass(frozen=True, kw_only=True)
class _Sql(Operation):
    dsn: str
    statement: str
    connect_timeout: Duration = "2s"
    system: str = "postgres"

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds(self.connect_timeout) <= 0:
            raise ConfigError(f"operation {self.f!r}: connect_timeout must be positive")


@register
@dataclass(frozen=True, kw_only=True)
class SqlWrite(_Sql):
    """One autocommitted statement, `$1` key and `$2` id; columns `node` and `term` of its row, if it
    returns them, say who acknowledged (taken in the writing statement itself).
    """

    kind: ClassVar[str] = "sql-write"
    writes: ClassVar[bool] = True

    statement: str = WRITE


@register
@dataclass(frozen=True, kw_only=True)
class SqlRead(_Sql):
    """A query, `$1` key; the first column of its rows are the ids."""

    kind: ClassVar[str] = "sql-read"

    statement: str = READ

    @property
    def is_read(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """The load of a run: `operations` on their schedules, `closing` reads after it.

    Those in `optional`, and their closing reads, run only in drills that give them a rate (`at_rates`).
    `max_in_flight` bounds all operations in flight: what could not be started is recorded as
    not-started. After `max_duration` the client stops issuing by itself.
    """

    operations: tuple[Operation, ...]
    closing: tuple[Operation, ...] = ()
    optional: tuple[Operation, ...] = ()
    seed: int = 0
    max_in_flight: int = 1000
    max_duration: Duration = "15m"

    def __post_init__(self) -> None:
        names = [operation.f for operation in (*self.operations, *self.optional)]
        if len(set(names)) != len(names):
            raise ConfigError(f"operations of one plan need distinct names: {', '.join(names)}")
        if self.max_in_flight < 1:
            raise ConfigError("max_in_flight must be at least 1")
        if seconds(self.max_duration) <= 0:
            raise ConfigError("max_duration must be positive")
        writers = {o.f for o in (*self.operations, *self.optional) if o.is_write}
        for operation in self.operations:
            if operation.rate <= 0:
                raise ConfigError(f"operation {operation.f!r}: rate must be positive")
        for operation in (*self.operations, *self.closing):
            if operation.key_from is not None and operation.key_from not in writers:
                raise ConfigError(
                    f"operation {operation.f!r}: key_from {operation.key_from!r} is no ledger write; "
                    f"valid are {', '.join(sorted(writers)) or 'none'}"
                )
        for operation in self.closing:
            if operation.key_from is None or not operation.is_read:
                raise ConfigError(f"closing {operation.f!r}: must be a read with key_from")

    def at_rates(self, rates: Mapping[str, float]) -> LoadPlan:
        """The plan of a drill: these rates (per second) by kind, and of the optional kinds only those named.

        Raises ConfigError for an unknown kind.
        """
        known = [operation.f for operation in (*self.operations, *self.optional)]
        if unknown := sorted(set(rates) - set(known)):
            raise ConfigError(f"the load has no operation {', '.join(unknown)}; it has: {', '.join(known)}")
        chosen = (*self.operations, *(o for o in self.optional if o.f in rates))
        operations = tuple(dataclasses.replace(o, rate=rates.get(o.f, o.rate)) for o in chosen)
        closing = tuple(o for o in self.closing if o.key_from in {each.f for each in chosen})
        return dataclasses.replace(self, operations=operations, closing=closing, optional=())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; holds the secrets of headers and DSNs, so keep it off the disk."""
        return {
            "operations": [operation.to_dict() for operation in self.operations],
            "closing": [operation.to_dict() for operation in self.closing],
            "optional": [operation.to_dict() for operation in self.optional],
            "seed": self.seed,
            "max_in_flight": self.max_in_flight,
            "max_duration": self.max_duration,
        }

    def public_dict(self) -> dict[str, Any]:
        """`to_dict` fit for a report: passwords of DSNs and all header values that are no template masked."""
        return {name: _mask(value) for name, value in self.to_dict().items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LoadPlan:
        """The plan of `to_dict`; ConfigError where it is none."""
        valid = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(data) - valid):
            raise ConfigError(
                f"plan: unknown field {', '.join(unknown)}; valid are {', '.join(sorted(valid))}"
            )
        if "operations" not in data:
            raise ConfigError("plan: operations are missing")
        lists = {
            name: tuple(Operation.from_dict(each) for each in data.get(name, ()))
            for name in ("operations", "closing", "optional")
        }
        return cls(**{**data, **lists})

    @classmethod
    def from_json(cls, text: str | bytes) -> LoadPlan:
        """The plan in JSON; ConfigError where it is none."""
        try:
            data = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"plan: not JSON: {error}") from None
        if not isinstance(data, dict):
            raise ConfigError("plan: not a JSON object")
        return cls.from_dict(data)


_PASSWORD = re.compile(r"(//[^:/@\s]+:)[^@\s]*(@)|(password=)[^&\s]+")


def _mask(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: {h: v if "{" in v else "***" for h, v in each.items()} if name == "headers" else _mask(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_mask(each) for each in value]
    if isinstance(value, str):
        return _PASSWORD.sub(lambda m: f"{m[1] or m[3]}***{m[2] or ''}", value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
