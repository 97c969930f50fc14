"""What the parts of the stack `recovery` must agree on, beyond those of the sample (sut/settings.py)."""

from __future__ import annotations

from sut.settings import POSTGRES

REPOSITORY = "repo-1"
#: An idle Postgres host without Patroni: the side cluster of a point-in-time recovery, and a clean place in
#: which backups are verified.
SIDE = "restore-1"
#: The role of an operator, whose password is out in a drill.
OPERATOR = "maintenance"
#: Their zone: what happens to the others' does not happen to theirs.
ZONE = "d"
#: pgBackRest's name for the cluster, and where its repository is.
STANZA = "main"
REPOSITORY_PATH = "/var/lib/pgbackrest"
#: The ports of pgBackRest's TLS server and of what Prometheus asks, on each of these hosts.
BACKUP_PORT, METRICS_PORT = 8432, 9187
#: Who archives there and restores from there.
CLIENTS = (*POSTGRES, SIDE)

#: A segment is archived at this age, full or not: the bound of what the loss of both nodes costs, but for the
#: push of one segment.
ARCHIVE_TIMEOUT = "10s"
#: An incremental backup each ten minutes, and the restore of one each hour: a drill meets one now and then.
INCR_EVERY_S, DIFF_EVERY_S, FULL_EVERY_S, VERIFY_EVERY_S = 600, 1800, 3600, 3600

#: For a stack that lives for one run on 127.0.0.1; redacted in reports all the same.
REPOSITORY_KEY = "sample-repository-key-of-at-least-32-bytes"
