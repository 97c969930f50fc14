"""The steps of the regions' runbooks that decide, in bash, with stand-ins for the engine and Patroni."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from blackstart.runbook.parse import read_runbook

ROOT = Path(__file__).parents[2]
FOLLOWS = {"host": "pgproxy-r1", "port": 5000}
#: The engine: ports are names, and the image's program is that of this tree. The first region's configuration
#: is the file `config`, the second's `second`; `PS` are the containers that there are; those of the names in
#: `DOWN` do not answer until something is provisioned.
DOCKER = r"""#!/bin/bash
all="$*"
echo "$all" >> "$FOLDER/calls"
[ -e "$FOLDER/anew" ] || case " ${DOWN:-} " in *" ${2#bs-r1-} "*) exit 1 ;; esac
case $all in
  'port '*) name=${2#bs-r1-}; echo "${name%-net}" ;;
  'ps '*) echo "${PS:-}" ;;
  'kill '*) ;;
  *etcd-r1*' get --print-value-only '*) cat "$FOLDER/second" ;;
  *' get --print-value-only '*) cat "$FOLDER/config" ;;
  *' endpoint health') ;;
  *' put '*) printf '%s' "${@: -1}" > "$FOLDER/config" ;;
  *' del '*) ;;
  *follow-region*) shift 4; exec python3 "$FOLLOW_REGION" "$@" ;;
  *psql*NOT\ pg_is_in_recovery*) echo "${WRITABLE:-f}" ;;
  *psql*) echo 0 ;;
  *) echo "unexpected: $all" >&2; exit 1 ;;
esac
"""
#: Patroni: `PRIMARY` and `FOLLOWER` name the nodes that answer 200 on those pages.
CURL = r"""#!/bin/bash
url=; for word in "$@"; do case $word in http://*) url=${word#http://} ;; esac; done
echo "$*" >> "$FOLDER/curls"
case $url in
  */primary) [ "${url%%/*}" = "${PRIMARY:-}" ] && echo 200 || echo 503 ;;
  */standby-leader) [ "${url%%/*}" = "${FOLLOWER:-}" ] && echo 200 || echo 503 ;;
  */config) ;;
  *) exit 7 ;;
esac
"""


PROVISION = '#!/bin/sh\ntouch "$FOLDER/anew"\necho "blackstart $*"\n'
STORE = "etcd-1 etcd-2 etcd-3"


@pytest.fixture
def host(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell on a host whose programs answer as above."""
    for name, text in {"docker": DOCKER, "curl": CURL, "blackstart": PROVISION}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "config").write_text(json.dumps({"ttl": 20, "slots": {"region_two": {"type": "physical"}}}))
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "FOLDER": str(tmp_path),
        "FOLLOW_REGION": str(ROOT / "sut" / "postgres" / "follow-region"),
        "SWITCH": str(tmp_path / "no-fence"),
        "RUN": "r1",
    }


def follow(runbook: str, *steps: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The steps, as a drill follows them."""
    blocks = read_runbook(ROOT / "runbooks" / f"{runbook}.md").steps(*steps)
    script = "set -euo pipefail\n" + "".join(block.code for block in blocks)
    return subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=30, check=False
    )


def config(host: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(host["FOLDER"], "config").read_text())
    return found


def called(host: dict[str, str], words: str) -> bool:
    path = Path(host["FOLDER"], "calls")
    return any(words in line for line in path.read_text().splitlines())


@pytest.mark.parametrize(
    ("states", "goes_on"),
    [
        ({"FOLLOWER": "pg-r1"}, True),
        ({"FOLLOWER": "pg-r1", "PRIMARY": "pg-2"}, False),
        ({"PRIMARY": "pg-r1"}, False),
        ({}, False),
    ],
    ids=["lost", "a-primary-is-left", "promoted-already", "nobody-stands-by"],
)
def test_a_region_is_given_up_only_where_it_is_lost_and_the_other_stands_by(
    host: dict[str, str], states: dict[str, str], goes_on: bool
) -> None:
    done = follow("region-lost", "find", "confirm-lost", env={**host, **states})
    assert (done.returncode == 0) is goes_on, done.stdout + done.stderr


def test_the_fence_stops_who_is_left_and_has_the_lost_region_follow(host: dict[str, str]) -> None:
    done = follow("region-lost", "find", "fence", env={**host, "PS": "bs-r1-app-1\nbs-r1-pg-2"})
    assert done.returncode == 0, done.stderr
    assert called(host, "kill bs-r1-pg-2") and not called(host, "kill bs-r1-app-1")
    told = config(host)
    assert told["ttl"] == 20 and "slots" not in told
    assert FOLLOWS.items() <= told["standby_cluster"].items()


def test_the_control_leaves_the_lost_region_as_it_was(host: dict[str, str]) -> None:
    Path(host["SWITCH"]).touch()
    before = config(host)
    assert follow("region-lost", "find", "fence", env=host).returncode == 0
    assert config(host) == before


def test_any_member_of_the_store_will_do(host: dict[str, str]) -> None:
    assert follow("region-lost", "find", "fence", env={**host, "DOWN": "etcd-1 etcd-2"}).returncode == 0
    assert called(host, "bs-r1-etcd-3 etcdctl --command-timeout=3s put") and "standby_cluster" in config(host)


@pytest.mark.parametrize("left", ["bs-r1-etcd-2", "bs-r1-pg-1"])
def test_where_no_member_answers_and_something_is_left_nobody_is_promoted(
    host: dict[str, str], left: str
) -> None:
    done = follow("region-lost", "find", "fence", "promote", env={**host, "DOWN": STORE, "PS": left})
    assert done.returncode != 0
    assert (
        f"NOT FENCED, do not promote: no member of the store answers, and these are left: {left}"
        in done.stdout
    )
    assert not Path(host["FOLDER"], "curls").exists()


def test_where_nothing_is_left_there_is_nothing_to_fence(host: dict[str, str]) -> None:
    done = follow("region-lost", "find", "fence", env={**host, "DOWN": STORE, "PS": "bs-r1-pg-r1"})
    assert (done.returncode, "there is nothing to fence" in done.stdout) == (0, True), done.stderr


def test_a_store_without_a_configuration_is_not_called_fenced(host: dict[str, str]) -> None:
    Path(host["FOLDER"], "config").write_text("")
    done = follow("region-lost", "find", "fence", env=host)
    assert done.returncode != 0
    assert not called(host, " put ")


def test_no_node_is_started_anew_where_there_is_no_fence(host: dict[str, str]) -> None:
    done = follow("region-failback", "find", "provision", env={**host, "PRIMARY": "pg-r1"})
    assert done.returncode != 0
    assert "no fence" in done.stdout and "--all" not in done.stdout
    assert not called(host, " del ")


def test_nodes_begin_anew_with_the_fence_in_force(host: dict[str, str]) -> None:
    Path(host["FOLDER"], "config").write_text(json.dumps({"standby_cluster": FOLLOWS}))
    done = follow("region-failback", "find", "provision", env={**host, "PRIMARY": "pg-r1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["blackstart provision r1 --all"], "a store that answers stays"
    assert called(host, "del /service/main/initialize") and not called(host, "del /service/main/config")


def test_a_store_that_is_new_gets_the_second_regions_configuration_turned_round(host: dict[str, str]) -> None:
    Path(host["FOLDER"], "config").write_text("")
    Path(host["FOLDER"], "second").write_text(json.dumps({"ttl": 30, "slots": {"region_one": {}}}))
    done = follow("region-failback", "find", "provision", env={**host, "PRIMARY": "pg-r1", "DOWN": STORE})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "blackstart provision r1 etcd-1 etcd-2 etcd-3",
        "the store is new: its cluster follows pgproxy-r1",
        "blackstart provision r1 --all",
    ]
    told = config(host)
    assert (told["ttl"], "slots" in told) == (30, False)
    assert FOLLOWS.items() <= told["standby_cluster"].items()


def test_clients_are_not_stopped_where_nobody_could_take_over(host: dict[str, str]) -> None:
    done = follow("region-failback", "find", "leader", "stop", env={**host, "PRIMARY": "pg-r1"})
    assert done.returncode != 0
    assert not called(host, "NOLOGIN")


def test_the_way_back_is_only_from_a_second_region_that_serves(host: dict[str, str]) -> None:
    done = follow("region-failback", "find", env={**host, "PRIMARY": "pg-1"})
    assert (done.returncode, "does not serve" in done.stdout) == (1, True)
