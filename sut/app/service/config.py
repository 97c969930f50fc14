"""Settings of one app process, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

from .content import Box
from .secretfiles import TLS_CA, Secrets, token_keys
from .usage import Price

#: What a negative control may take away, so that a drill shows that it would have noticed.
PROTECTIONS = frozenset(
    {
        "answer-check",
        "breakers",
        "budget",
        "bulkhead",
        "cache-fallback",
        "cache-timeout",
        "certificate-check",
        "clock-check",
        "declined",
        "embedding-space",
        "fencing",
        "final-refusals",
        "idempotency",
        "keep-alive",
        "model-echo",
        "model-fallback",
        "one-probe",
        "outbox-relay",
        "pool-check",
        "pooling",
        "rate-limit",
        "read-only",
        "reclaim",
        "retrieval-fallback",
        "retrieval-optional",
        "retry-budget",
        "secret-reload",
        "shedding",
        "single-flight",
        "stale-answers",
        "staleness",
        "stream-end",
        "stream-fallback",
        "stream-reset",
        "throttle-check",
        "tool-breaker",
        "tool-fallback",
    }
)
ROLES = ("app", "worker")


@dataclass(frozen=True)
class Settings:
    """All times are seconds. Secrets are kept out of `repr`. `without` names PROTECTIONS to leave out."""

    node: str = "app"
    role: str = "app"
    zone: str = ""
    database_url: str = field(default="postgresql://app:app@127.0.0.1:5432/app", repr=False)
    retrieval_url: str = field(default="", repr=False)
    redis_sentinels: tuple[tuple[str, int], ...] = ()
    redis_master: str = "cache"
    redis_tls_port: int = 6380
    llm_primary_url: str = "http://127.0.0.1:8080/v1"
    llm_fallback_url: str = "http://127.0.0.1:8081/v1"
    llm_model: str = "sample"
    tool_url: str = "http://127.0.0.1:8082"
    llm_cheap_model: str = "sample-mini"
    llm_price: Price = field(default=Price(2.5, 10.0))
    llm_cheap_price: Price = field(default=Price(0.15, 0.6))
    jwt_secret: str = field(default="", repr=False)
    content_keys: str = field(default="", repr=False)
    secrets_dir: str = ""
    # The authority of the servers' certificates, in PEM. With it, Postgres and Redis are spoken to in TLS.
    tls_ca: str = field(default="", repr=False)
    log_level: str = "INFO"
    trace_ratio: float = 0.0
    listen: tuple[str, ...] = ()
    port: int = 8000

    request_deadline: float = 4.3
    start_within: float = 2.0
    check_timeout: float = 1.0
    # A replica whose clock is further off than this from the database's is not ready.
    clock_skew: float = 30.0
    # The steps of one turn, each at its slowest, fit in its deadline: tests/sut/test_config.py adds them up.
    llm_timeout: float = 1.2
    embed_timeout: float = 0.3
    ingest_timeout: float = 2.0
    retrieve_timeout: float = 0.2
    stale_after: float = 3.0
    tool_timeout: float = 0.2
    cache_timeout: float = 0.08
    drain: float = 2.5
    # Small: after a failover all replicas reconnect at once, to a server that has only just been promoted.
    pool_size: int = 4
    documents_pool_size: int = 2
    # Turns in work hold a connection each: more would only wait in the pool, where nobody counts them.
    turns_in_work: int = 3
    # Few: in a crowd a turn waits for the processor too, and one that ends too late was worked on in vain.
    turns_in_line: int = 4
    # Turns of one session that wait for one another, before the line of all.
    session_in_line: int = 2
    # Calls at once to one dependency, of the turns in work.
    bulkhead: int = 2
    retry_ratio: float = 0.2
    # Requests a second and user over all replicas, and at once.
    user_rate: float = 200.0
    user_burst: float = 400.0
    replicas: int = 3
    # What one conversation may cost.
    session_budget_usd: float = 1.0
    # A lease outlasts a failover of Redis; a dead worker's job is another's after one lease and a heartbeat.
    job_lease: float = 4.0
    job_republish: float = 5.0
    job_deliveries: int = 5
    job_slots: int = 2
    # Settled jobs, and the checkpoints of conversations at rest, are removed after so long.
    keep: float = 86_400.0
    without: frozenset[str] = frozenset()

    @property
    def retrieval_dsn(self) -> str:
        """Where documents are searched first: the standby's address; without one, the primary's."""
        return self.retrieval_url or self.database_url

    @cached_property
    def secrets(self) -> Secrets:
        """The keys and passwords in force, by file where there is a folder of them."""
        return Secrets(
            self.secrets_dir,
            jwt_secret=self.jwt_secret,
            content_keys=self.content_keys,
            reload="secret-reload" not in self.without,
        )

    @property
    def box(self) -> Box:
        """What seals content at rest."""
        return Box(self.secrets.content_keys)

    def database_dsn(self, url: str = "") -> str:
        """`url`, or that of the primary, with the database's password of now, and with TLS where it is on."""
        more: dict[str, str] = {}
        if (password := self.secrets.database_password()) is not None:
            more["password"] = password
        if self.tls_ca_file and "certificate-check" in self.without:
            more["sslmode"] = "require"
        elif self.tls_ca_file:
            more |= {"sslmode": "verify-full", "sslrootcert": self.tls_ca_file}
        dsn = url or self.database_url
        return make_conninfo(dsn, **more) if more else dsn

    @property
    def tls_ca_file(self) -> str:
        """Where the authority is planted; empty without one, or without a folder for it."""
        return str(Path(self.secrets_dir) / TLS_CA) if self.tls_ca and self.secrets_dir else ""

    @property
    def redis_tls(self) -> dict[str, Any]:
        """What redis-py is told beside an address; empty where TLS is off."""
        if not self.tls_ca_file:
            return {}
        if "certificate-check" in self.without:
            return {"ssl": True, "ssl_cert_reqs": "none", "ssl_check_hostname": False}
        return {"ssl": True, "ssl_ca_certs": self.tls_ca_file, "ssl_check_hostname": True}

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings; raises ValueError, naming the variable, when one is missing or malformed."""
        if not env.get("JWT_SECRET"):
            raise ValueError("JWT_SECRET must be set: without it nobody could be authenticated")
        try:
            token_keys(env["JWT_SECRET"])
        except ValueError as error:
            raise ValueError(f"JWT_SECRET: {error}") from None
        default = cls()
        return cls(
            node=env.get("NODE_NAME", default.node),
            role=_role(env.get("ROLE", default.role)),
            zone=env.get("ZONE", default.zone),
            database_url=env.get("DATABASE_URL", default.database_url),
            retrieval_url=env.get("RETRIEVAL_URL", ""),
            redis_sentinels=_addresses("REDIS_SENTINELS", env.get("REDIS_SENTINELS", "")),
            redis_master=env.get("REDIS_MASTER", default.redis_master),
            redis_tls_port=_number("REDIS_TLS_PORT", env.get("REDIS_TLS_PORT", str(default.redis_tls_port))),
            llm_primary_url=env.get("LLM_PRIMARY_URL", default.llm_primary_url),
            llm_fallback_url=env.get("LLM_FALLBACK_URL", default.llm_fallback_url),
            llm_model=env.get("LLM_MODEL", default.llm_model),
            tool_url=env.get("TOOL_URL", default.tool_url),
            llm_cheap_model=env.get("LLM_CHEAP_MODEL", default.llm_cheap_model),
            llm_price=_price("LLM_PRICE", env, default.llm_price),
            llm_cheap_price=_price("LLM_CHEAP_PRICE", env, default.llm_cheap_price),
            jwt_secret=env["JWT_SECRET"],
            content_keys=env.get("CONTENT_KEYS", ""),
            secrets_dir=env.get("SECRETS_DIR", ""),
            tls_ca=env.get("TLS_CA", ""),
            log_level=env.get("LOG_LEVEL", default.log_level).upper(),
            trace_ratio=float(env.get("TRACE_RATIO", default.trace_ratio)),
            listen=tuple(filter(None, env.get("LISTEN", "").split(","))),
            port=_number("PORT", env.get("PORT", str(default.port))),
            request_deadline=float(env.get("REQUEST_DEADLINE", default.request_deadline)),
            drain=float(env.get("DRAIN_SECONDS", default.drain)),
            turns_in_work=_number("TURNS_IN_WORK", env.get("TURNS_IN_WORK", str(default.turns_in_work))),
            turns_in_line=_number("TURNS_IN_LINE", env.get("TURNS_IN_LINE", str(default.turns_in_line))),
            bulkhead=_number("BULKHEAD", env.get("BULKHEAD", str(default.bulkhead))),
            retry_ratio=_positive("RETRY_RATIO", env, default.retry_ratio),
            user_rate=_positive("USER_RATE", env, default.user_rate),
            user_burst=_positive("USER_BURST", env, default.user_burst),
            replicas=_number("REPLICAS", env.get("REPLICAS", str(default.replicas))),
            keep=_positive("KEEP_SECONDS", env, default.keep),
            session_budget_usd=_positive("SESSION_BUDGET_USD", env, default.session_budget_usd),
            without=_protections(env.get("WITHOUT", "")),
        )


def _positive(name: str, env: Mapping[str, str], default: float) -> float:
    try:
        found = float(env.get(name, default))
    except ValueError:
        found = 0.0
    if not found > 0:
        raise ValueError(f"{name}: {env[name]!r} is not a number above 0")
    return found


def _price(name: str, env: Mapping[str, str], default: Price) -> Price:
    """Dollars for a million tokens of prompt and of completion, as "2.5/10"."""
    if name not in env:
        return default
    try:
        prompt, completion = map(float, env[name].split("/"))
    except ValueError:
        raise ValueError(f"{name}: {env[name]!r} is not prompt/completion, as 2.5/10") from None
    return Price(prompt, completion)


def _addresses(name: str, text: str) -> tuple[tuple[str, int], ...]:
    found = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        host, _, port = part.rpartition(":")
        if not host:
            raise ValueError(f"{name}: {part!r} is not host:port")
        found.append((host, _number(name, port)))
    return tuple(found)


def _role(text: str) -> str:
    if text not in ROLES:
        raise ValueError(f"ROLE: {text!r} is none; valid: {', '.join(ROLES)}")
    return text


def _protections(text: str) -> frozenset[str]:
    named = frozenset(filter(None, text.split(",")))
    if unknown := named - PROTECTIONS:
        known = ", ".join(sorted(PROTECTIONS))
        raise ValueError(f"WITHOUT: unknown {', '.join(sorted(unknown))}; valid: {known}")
    return named


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a number") from None
