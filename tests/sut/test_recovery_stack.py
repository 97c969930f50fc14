"""The stack `recovery`: what it adds to the sample, and that its parts agree on names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from blackstart.stack.declared import load_stack
from blackstart.stack.provision import environments
from blackstart.stack.running import fingerprint
from sut import certificates
from sut.recovery import variants
from sut.recovery.settings import BACKUP_PORT, CLIENTS, METRICS_PORT, REPOSITORY, REPOSITORY_KEY, SIDE, ZONE
from sut.recovery.stack import stack
from sut.settings import POSTGRES
from sut.stack import stack as sample

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    path
    for folder in ("sut/postgres", "sut/recovery/repository")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
]


def edges(source: str) -> set[str]:
    return {edge.name for edge in stack.edges if edge.source == source}


def test_the_project_declares_it() -> None:
    assert load_stack(ROOT, "recovery") is stack


def test_the_sample_itself_stays_as_lean_as_it_is() -> None:
    assert not any("ARCHIVE" in instance.env for instance in sample.instances)
    assert {i.name for i in stack.instances} - {i.name for i in sample.instances} == {REPOSITORY, SIDE}
    changed = {*POSTGRES, "prometheus-1"}
    for instance in sample.instances:
        assert (stack.instance(instance.name) == instance) is (instance.name not in changed)
    tags = {image.name: image.name for image in stack.images()}
    assert fingerprint(stack, tags) != fingerprint(sample, tags)


def test_repository_and_side_cluster_are_where_no_other_is() -> None:
    assert [i.name for i in stack.instances if i.zone == ZONE] == [REPOSITORY, SIDE]
    assert stack.instances[0].name == REPOSITORY, "an empty node waits for it"


def test_who_asks_whom() -> None:
    for name in CLIENTS:
        assert f"{REPOSITORY}:{BACKUP_PORT}" in edges(name)
    for name in POSTGRES:
        assert f"{name}:{BACKUP_PORT}" in edges(REPOSITORY)
        assert f"{name}:{METRICS_PORT}" in edges("prometheus-1")
    assert not any(edge.startswith(("pg-", "pgproxy")) for edge in edges(SIDE))


def test_nobody_reaches_a_restored_cluster_over_the_network() -> None:
    """Passwords in it may be those of the past."""
    assert stack.instance(SIDE).publish == ("metrics",)
    rules = (ROOT / "sut/postgres/restore_hba.conf").read_text().splitlines()
    assert [rule.split()[0] for rule in rules if not rule.startswith("#")] == ["local"]
    assert '"listen_addresses=",' in (ROOT / "sut/postgres/restoring/side.py").read_text()


def test_each_of_them_has_a_certificate_by_which_it_serves_and_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))
    given = environments(stack, "run1")
    authority = x509.load_pem_x509_certificate(Path(certificates.trusted("run1")).read_bytes())
    for name in (REPOSITORY, *CLIENTS):
        assert given[name]["BACKUP_CA"].encode() == Path(certificates.trusted("run1")).read_bytes()
        made = x509.load_pem_x509_certificate(given[name]["BACKUP_PEM"].encode())
        made.verify_directly_issued_by(authority)
        # Whom pgBackRest lets in it tells by the common name.
        [common] = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common.value == name
        uses = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH} <= set(uses)
    for name in POSTGRES:
        server = x509.load_pem_x509_certificate(given[name]["TLS_PEM"].encode())
        uses = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert ExtendedKeyUsageOID.CLIENT_AUTH not in uses, "a server's certificate opens no repository"


def test_the_key_of_the_repository_is_a_secret_that_only_its_host_has() -> None:
    assert REPOSITORY_KEY in stack.secrets
    assert [i.name for i in stack.instances if REPOSITORY_KEY in i.env.values()] == [REPOSITORY]


def test_what_a_container_keeps_in_memory_is_not_more_than_it_may_have() -> None:
    for instance in stack.instances:
        for size in instance.disks.values():
            disk = int(size[:-1]) * {"m": 1, "g": 1024}[size[-1]]
            assert int(instance.memory.removesuffix("m")) >= disk + 128, instance.name


def test_variants_have_names_of_their_own() -> None:
    names = [variant.name for variant in stack.variants]
    assert len(names) == len(set(names))
    assert {v.name for v in variants.VARIANTS} == set(names) - {v.name for v in sample.variants}


@pytest.mark.parametrize("flag", re.findall(r'/([a-z]+-[a-z-]+)"', Path(variants.__file__).read_text()))
def test_a_file_that_takes_a_protection_away_is_looked_for(flag: str) -> None:
    assert any(flag in path.read_text() for path in SCRIPTS), flag


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_wal_is_ever_dropped_for_want_of_room(script: Path) -> None:
    told = [line for line in script.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not any("queue-max" in line for line in told)


def test_nodes_and_repository_agree_on_the_port_of_the_metrics() -> None:
    for path in ("sut/postgres/serve-metrics.sh", "sut/recovery/repository/metrics.sh"):
        assert f" {METRICS_PORT} " in (ROOT / path).read_text()


def test_the_repositorys_image_has_every_program() -> None:
    folder = ROOT / "sut" / "recovery" / "repository"
    built = (folder / "Dockerfile").read_text()
    for path in folder.iterdir():
        if path.name != "Dockerfile":
            assert f"{path.name} " in built, path.name
            assert path.stat().st_mode & 0o100 or path.name == "common.sh", path.name
