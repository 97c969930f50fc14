"""The stack `region`: what it adds to the sample, and that its parts agree on names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from blackstart.model.stack import Instance
from blackstart.observe import PatroniSource
from blackstart.stack.declared import load_stack
from blackstart.stack.provision import environments
from sut import certificates
from sut.region import regions, settings, variants
from sut.region.conditions import streams
from sut.region.stack import stack
from sut.settings import APPS, FRONTS, POSTGRES, WORKERS
from sut.stack import stack as sample

ROOT = Path(__file__).parents[2]
POSTGRES_IMAGE = ROOT / "sut" / "postgres"
PROGRAMS = ("await-replay.sh", "follow-region")
SECOND = set(settings.SECOND)


def edges(source: str) -> set[str]:
    return {edge.name for edge in stack.edges if edge.source == source}


def instance(name: str) -> Instance:
    return stack.instance(name)


def test_the_project_declares_it() -> None:
    assert load_stack(ROOT, "region") is stack


def test_the_sample_itself_stays_as_lean_as_it_is() -> None:
    assert {i.name for i in stack.instances} - {i.name for i in sample.instances} == SECOND
    changed = {*POSTGRES, *FRONTS, *APPS, *WORKERS, "prometheus-1"}
    for each in sample.instances:
        assert (instance(each.name) == each) is (each.name not in changed), each.name
        assert not {"SLOT", "STANDBY_OF", "STANDBYS", "REDIS_LEAST"} & set(each.env)


def test_the_second_region_has_a_zone_and_services_of_its_own() -> None:
    assert {i.name for i in stack.instances if i.zone == settings.ZONE} == SECOND
    firsts = {i.service for i in sample.instances}
    assert not firsts & {instance(name).service for name in SECOND}


def test_the_regions_share_no_store_no_cache_and_no_replica() -> None:
    first = {i.name for i in sample.instances if i.service in ("etcd", "redis", "sentinel", "app", "worker")}
    for name in SECOND:
        assert not set(instance(name).calls) & first, name
    for name in (settings.APP, settings.WORKER):
        assert f"{settings.PROXY}:{settings.PRIMARY_PORT}" in edges(name)
        assert not any(edge.startswith((settings.FIRST_PROXY, "pg-")) for edge in edges(name))


def test_what_an_instance_of_the_second_region_is_told_to_call_it_can_call() -> None:
    known = {i.name for i in stack.instances}
    for name in SECOND:
        told = {word for value in instance(name).env.values() for word in re.findall(r"[a-z]+-r?\d", value)}
        assert (told & known) - {name} <= set(instance(name).calls), name


def test_each_region_can_follow_the_other_ones_primary_whichever_node_that_is() -> None:
    assert f"{settings.FIRST_PROXY}:{settings.PRIMARY_PORT}" in edges(settings.POSTGRES)
    for name in POSTGRES:
        assert f"{settings.PROXY}:{settings.PRIMARY_PORT}" in edges(name)
        assert instance(name).env["SLOT"] == instance(settings.POSTGRES).env["STANDBY_SLOT"]
    assert "SLOT" not in instance(settings.POSTGRES).env
    assert "STANDBY_OF" not in instance(POSTGRES[0]).env


def test_the_fronts_have_the_second_region_as_a_backup() -> None:
    for name in FRONTS:
        assert instance(name).env["STANDBYS"] == settings.APP
        assert settings.APP not in instance(name).env["BACKENDS"]
        assert f"{settings.APP}:8000" in edges(name)


def test_no_service_must_be_ready_in_a_region_that_does_not_serve() -> None:
    for name in (*APPS, *WORKERS, settings.APP, settings.WORKER):
        assert instance(name).ready.path == "/health/live"


def test_prometheus_asks_what_it_can_call() -> None:
    prometheus = instance("prometheus-1")
    asked = re.findall(r"([a-z]+-[a-z]*\d+):", prometheus.env["TARGETS"])
    assert set(asked) <= set(prometheus.calls)
    assert {settings.APP, settings.WORKER, settings.PROXY, settings.POSTGRES} <= set(asked)
    # The rule about quorum counts the members that are asked.
    assert settings.ETCD not in asked


def test_clients_of_the_second_region_know_its_servers_by_the_names_that_they_dial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))
    given = environments(stack, "run1")
    authority = Path(certificates.trusted("run1")).read_text()
    for name in (settings.APP, settings.WORKER):
        assert given[name]["TLS_CA"] == authority
    for server, dialled in ((settings.POSTGRES, settings.PROXY), (settings.REDIS, settings.REDIS)):
        made = x509.load_pem_x509_certificate(given[server]["TLS_PEM"].encode())
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert dialled in names.get_values_for_type(x509.DNSName)


def test_components_of_both_regions_are_observed() -> None:
    seen = {source.service for source in stack.sources if isinstance(source, PatroniSource)}
    assert seen == {"postgres", "postgres-r"}


def member(name: str, role: str, state: str) -> dict[str, str]:
    return {"name": name, "role": role, "state": state}


@pytest.mark.parametrize(
    ("members", "well"),
    [
        ([member("pg-1", "standby_leader", "streaming"), member("pg-2", "replica", "streaming")], True),
        ([member("pg-1", "standby_leader", "streaming"), member("pg-2", "replica", "starting")], False),
        ([member("pg-1", "standby_leader", "running"), member("pg-2", "replica", "streaming")], False),
        ([member("pg-1", "leader", "running"), member("pg-2", "replica", "streaming")], False),
        ([member("pg-1", "standby_leader", "streaming")], False),
        ([], False),
    ],
)
def test_a_region_follows_when_its_leader_and_all_others_stream(members: list[Any], well: bool) -> None:
    assert (streams({"members": members}, POSTGRES) is None) is well


def test_variants_have_names_of_their_own() -> None:
    names = [variant.name for variant in stack.variants]
    assert len(names) == len(set(names))
    assert {v.name for v in variants.VARIANTS} == set(names) - {v.name for v in sample.variants}


def test_the_faults_of_the_variants_meet_edges_that_there_are() -> None:
    for variant in variants.VARIANTS:
        for fault in variant.faults:
            fault.validate(stack)


@pytest.mark.parametrize("flag", re.findall(r'/(no-[a-z-]+)"', Path(variants.__file__).read_text()))
def test_a_file_that_takes_a_protection_away_is_looked_for(flag: str) -> None:
    assert any(flag in (POSTGRES_IMAGE / program).read_text() for program in PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_image_of_postgres_has_the_programs_that_the_runbooks_call(program: str) -> None:
    assert f" {program} " in (POSTGRES_IMAGE / "Dockerfile").read_text()
    assert (POSTGRES_IMAGE / program).stat().st_mode & 0o100
    pages = ("region-lost", "region-failback")
    assert any(f" {program} " in (ROOT / "runbooks" / f"{page}.md").read_text() for page in pages)


def test_a_region_follows_the_other_one_the_same_way_whoever_tells_it() -> None:
    page = (ROOT / "runbooks" / "region-failback.md").read_text()
    for name, value in regions.following(settings.FIRST_PROXY, settings.SLOT_OF_SECOND).items():
        assert f'"{name}": {json.dumps(value)}' in page
    program = [str(POSTGRES_IMAGE / "follow-region"), settings.PROXY, "5000", settings.SLOT_OF_FIRST]
    done = subprocess.run(
        [sys.executable, *program], input='{"slots": {}}', capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {
        "standby_cluster": regions.following(settings.PROXY, settings.SLOT_OF_FIRST)
    }
