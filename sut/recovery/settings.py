"""What the parts of the stack `recovery` must agree on, beyond those of the sample (sut/settings.py)."""

from __future__ import annotations

REPOSITORY = "repo-1"
#: An idle Postgres host without Patroni: the side cluster of a point-in-time recovery, and a clean place in
#: which backups are verified.
SIDE = "restore-1"
#: Their zone: what happens to the others' does not happen to theirs.
ZONE = "d"
#: pgBackRest's name for the cluster, and where its repository is.
STANZA = "main"
REPOSITORY_PATH = "/var/lib/pgbackrest"

#: For a stack that lives for one run on 127.0.0.1; redacted in reports all the same.
REPOSITORY_KEY = "sample-repository-key-of-at-least-32-bytes"
