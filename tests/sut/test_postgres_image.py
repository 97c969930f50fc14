"""The image of a Postgres node, as it starts after a kill."""

from __future__ import annotations

import secrets

import pytest

from blackstart.platforms.engine import connect
from blackstart.stack.images import ensure_images
from sut.stack import stack

pytestmark = pytest.mark.integration

#: A container that was killed keeps these; in its next life the process ids are somebody else's.
KILLED = """
data=/var/lib/postgresql/17/main; mkdir -p "$data"
sockets=/var/run/postgresql
for left in "$sockets/.s.PGSQL.5432" "$sockets/.s.PGSQL.5432.lock" "$data/postmaster.pid"; do
  echo 1 > "$left"
done
/usr/local/bin/entrypoint.sh find "$sockets" "$data" -type f
"""


def test_nothing_that_names_a_former_process_keeps_postgres_from_starting() -> None:
    [image] = [image for image in stack.images() if image.name == "postgres"]
    tag = ensure_images([image], progress=print)["postgres"]
    run_id = f"test-{secrets.token_hex(4)}"
    said = connect().containers.run(
        tag, ["-c", KILLED], entrypoint=["sh"], remove=True, labels={"blackstart.run": run_id}
    )
    assert said.decode().split() == []
