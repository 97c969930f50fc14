"""The stack `recovery`: the sample, whose Postgres archives to a repository, and a host to restore on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blackstart.model.stack import Image, Instance
from blackstart.stack.conditions import HttpReady, Named
from sut import certificates
from sut.recovery import backups
from sut.recovery.configuration import configuration
from sut.recovery.reset import reset
from sut.recovery.settings import (
    ARCHIVE_TIMEOUT,
    BACKUP_PORT,
    CLIENTS,
    DIFF_EVERY_S,
    FULL_EVERY_S,
    INCR_EVERY_S,
    METRICS_PORT,
    REPOSITORY,
    REPOSITORY_KEY,
    REPOSITORY_PATH,
    SIDE,
    VERIFY_EVERY_S,
    ZONE,
)
from sut.recovery.variants import VARIANTS
from sut.settings import POSTGRES, POSTGRES_DISK, REPLICATION_PASSWORD
from sut.stack import stack as sample

_PORTS = {"backup": BACKUP_PORT, "metrics": METRICS_PORT}
_METRICS = HttpReady("metrics", "/metrics")


def given(run_id: str) -> dict[str, dict[str, str]]:
    """By instance, what the sample's run gives, and the certificates by which repository and nodes talk."""
    authority = certificates.authority_of(run_id)

    def own(name: str) -> dict[str, str]:
        pem = authority.issue((name, f"{name}.net"), valid=certificates.VALID, client=True)
        return {"BACKUP_PEM": pem, "BACKUP_CA": authority.certificate}

    found = certificates.given(run_id)
    return found | {name: found.get(name, {}) | own(name) for name in (REPOSITORY, *CLIENTS)}


def _archiving(node: Instance) -> Instance:
    """A node of the sample that archives, and that the repository takes backups from."""
    return replace(
        node,
        ports={**node.ports, **_PORTS},
        env={**node.env, "ARCHIVE": REPOSITORY, "ARCHIVE_TIMEOUT": ARCHIVE_TIMEOUT},
        calls=(*node.calls, REPOSITORY),
    )


def _watching(prometheus: Instance) -> Instance:
    """The sample's Prometheus, that asks the repository and its clients as well."""
    told = ",".join(f"{name}:{METRICS_PORT}" for name in (*CLIENTS, REPOSITORY))
    return replace(
        prometheus,
        env={**prometheus.env, "TARGETS": f"{prometheus.env['TARGETS']} backup={told}"},
        calls=(*prometheus.calls, REPOSITORY, SIDE),
    )


_REPOSITORY = Instance(
    REPOSITORY,
    "repository",
    Image("repository", Path(__file__).parent / "repository"),
    _PORTS,
    ZONE,
    env={
        "NODES": " ".join(POSTGRES),
        "CLIENTS": " ".join(CLIENTS),
        "REPOSITORY_KEY": REPOSITORY_KEY,
        "FULL_EVERY_S": str(FULL_EVERY_S),
        "DIFF_EVERY_S": str(DIFF_EVERY_S),
        "INCR_EVERY_S": str(INCR_EVERY_S),
        "VERIFY_EVERY_S": str(VERIFY_EVERY_S),
        "PRIMARY": "host=pgproxy-1 port=5000",
        "REPLICATION_PASSWORD": REPLICATION_PASSWORD,
    },
    calls=(*POSTGRES, "pgproxy-1"),
    publish=("metrics",),
    ready=_METRICS,
    # What is on the disk is memory of the container's.
    memory="896m",
    disks={REPOSITORY_PATH: "640m"},
)

_SIDE = Instance(
    SIDE,
    "restore",
    sample.instance(POSTGRES[0]).image,
    {"metrics": METRICS_PORT},
    ZONE,
    command=("restore-host.sh",),
    env={"ARCHIVE": REPOSITORY, "VERIFY_EVERY_S": str(VERIFY_EVERY_S)},
    calls=(REPOSITORY,),
    publish=("metrics",),
    ready=_METRICS,
    memory="1792m",
    disks={POSTGRES_DISK: "1g"},
)

_changed = {
    **{name: _archiving(sample.instance(name)) for name in POSTGRES},
    "prometheus-1": _watching(sample.instance("prometheus-1")),
}

stack = replace(
    sample,
    name="recovery",
    # The repository first: an empty node begins only when it knows whether there are backups.
    instances=(_REPOSITORY, *(_changed.get(i.name, i) for i in sample.instances), _SIDE),
    steady=(*sample.steady, Named("the repository has a backup, and WAL reaches it", backups.ready)),
    reset=reset,
    configuration=configuration,
    given=given,
    variants=(*sample.variants, *VARIANTS),
    secrets=(*sample.secrets, REPOSITORY_KEY),
    memory_mib=sample.memory_mib + 768,
    disk_mib=sample.disk_mib,
)
