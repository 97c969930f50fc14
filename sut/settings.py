"""What several parts of the sample stack must agree on: names, and the sample's own passwords."""

from __future__ import annotations

APPS = ("app-1", "app-2", "app-3")
FRONTS = ("front-1", "front-2")
WORKERS = ("worker-1", "worker-2")
POSTGRES = ("pg-1", "pg-2")
ETCD = ("etcd-1", "etcd-2", "etcd-3")
REDIS = ("redis-1", "redis-2")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")
LLMS = ("llm-1", "llm-2")
TOOLS = ("tool-1",)
PROBERS = ("prober-1",)
ZONES = ("a", "b", "c")

#: Requests that one user may make in a second, over all replicas, and at once. The load is one user, whose
#: closing reads come all at once and are tried again.
USER_RATE, USER_BURST = 20, 40

#: The disk of a Postgres node: data and log. Some 300 MiB of it are used when an hour of drills is over.
POSTGRES_DISK = "/var/lib/postgresql/17"

#: The name by which the Sentinels know the group of Redis instances.
REDIS_MASTER = "cache"

#: The model that a provider offers beside its strong one.
CHEAP_MODEL = "sample-mini"
#: The workers' stream and their group, as in the service's module `stream`.
JOB_STREAM = "jobs"
JOB_GROUP = "workers"

#: For a stack that lives for one run on 127.0.0.1; they are redacted in reports all the same.
APP_PASSWORD = "sample-app-password"
POSTGRES_PASSWORD = "sample-postgres-password"
REPLICATION_PASSWORD = "sample-replication-password"
JWT_SECRET = "sample-jwt-secret-of-at-least-32-bytes"
JWT_KID = "k1"
CONTENT_KEY = "c2FtcGxlLWNvbnRlbnQta2V5LW9mLTMyLWJ5dGVzISE="
#: What a drill rotates the secrets to.
NEXT_APP_PASSWORD = "sample-app-password-rotated"
NEXT_JWT_SECRET = "sample-jwt-secret-of-at-least-32-bytes-rotated"
NEXT_JWT_KID = "k2"
NEXT_CONTENT_KEY = "YW5vdGhlci1zYW1wbGUtY29udGVudC1rZXlzLWhhbGY="
SECRETS = (
    APP_PASSWORD,
    POSTGRES_PASSWORD,
    REPLICATION_PASSWORD,
    JWT_SECRET,
    CONTENT_KEY,
    NEXT_APP_PASSWORD,
    NEXT_JWT_SECRET,
    NEXT_CONTENT_KEY,
)
#: Where the app keeps its secrets, one a file (sut/app/service/secretfiles.py).
SECRETS_DIR = "/run/secrets"
