"""How the parts of a restore are told apart."""

from __future__ import annotations

import docker
import pytest

from benchmarks.backups import Hosts, Settings, replayed
from blackstart.platforms.docker import DockerPlatform

LOG = """\
2026-02-03 10:00:00.100 UTC [21] LOG:  starting PostgreSQL 17.6
2026-02-03 10:00:00.500 UTC [24] LOG:  starting backup recovery with redo LSN 0/5000028
2026-02-03 10:00:00.700 UTC [24] LOG:  redo starts at 0/5000028
2026-02-03 10:00:01.000 UTC [21] LOG:  database system is ready to accept read-only connections
2026-02-03 10:00:04.100 UTC [24] LOG:  redo done at 1/5000128 system usage: CPU: user: 0.11 s, elapsed: 3.40 s
2026-02-03 10:00:04.200 UTC [24] LOG:  selected new timeline ID: 2
2026-02-03 10:00:04.600 UTC [21] LOG:  database system is ready to accept connections
"""


def test_replay_ends_with_the_redo_and_the_rest_is_opening() -> None:
    found = replayed(LOG, 4.7, 0.25)
    assert (found.replay_s, found.open_s) == pytest.approx((4.2, 0.75))
    assert found.replay_s + found.open_s == pytest.approx(4.7 + 0.25)


def test_the_log_that_was_replayed_is_counted_across_a_carry() -> None:
    assert replayed(LOG, 4.7, 0.25).wal == (1 << 32) + 0x100


def test_opening_is_never_longer_than_the_whole() -> None:
    found = replayed(LOG, 0.3, 0.1)
    assert (found.replay_s, found.open_s) == pytest.approx((0.0, 0.4))


@pytest.mark.parametrize("left_out", ["redo starts", "redo done", "accept connections"])
def test_a_log_that_does_not_tell_is_refused(left_out: str) -> None:
    lines = [line for line in LOG.splitlines() if left_out not in line]
    with pytest.raises(ValueError, match="does not tell"):
        replayed("\n".join(lines), 4.7, 0.25)


def test_what_belongs_to_a_run_is_named_by_it_and_its_password_is_not_shown() -> None:
    # No engine is asked for a name.
    client = docker.DockerClient("unix:///nowhere", version="1.41")
    given = Hosts("bench-1", Settings(), DockerPlatform(client), "top-secret", 1234)
    assert given.container("pg-1") == "blackstart-bench-1-pg-1"
    assert given.volume("pg-1") == "blackstart-bench-1-pg-1-disk"
    assert "port=1234" in given.address
    assert "top-secret" not in repr(given)
