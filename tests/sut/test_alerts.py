"""The alert rules: valid, tested each, about metrics that are kept, of instances that are there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from blackstart.model.stack import Stack
from sut.recovery.stack import stack as recovery
from sut.stack import stack

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "sut" / "prometheus"
PROMTOOL = shutil.which("promtool")


def read(name: str) -> Any:
    """One of the folder's files."""
    return yaml.safe_load((FOLDER / name).read_text())


RULES = [rule for group in read("rules.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool; the image's build runs the same")
@pytest.mark.parametrize(
    "check", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")]
)
def test_promtool_accepts_the_rules_and_their_tests(check: tuple[str, ...]) -> None:
    assert PROMTOOL is not None
    result = subprocess.run(
        [PROMTOOL, *check], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_image_is_not_built_with_rules_that_promtool_refuses() -> None:
    built = (FOLDER / "Dockerfile").read_text()
    assert "promtool check config" in built
    assert "promtool test rules" in built


def test_every_alert_is_tested_to_fire_and_not_to_fire() -> None:
    told = [case for test in read("rules_test.yml")["tests"] for case in test["alert_rule_test"]]
    for fires in (True, False):
        assert {case["alertname"] for case in told if bool(case["exp_alerts"]) is fires} == set(ALERTS)


def test_every_alert_says_how_urgent_it_is_and_names_only_runbooks_that_exist() -> None:
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        if runbook := rule["annotations"].get("runbook_url"):
            assert (ROOT / runbook).is_file(), name


def test_no_metric_that_a_rule_asks_for_is_dropped() -> None:
    kept = [
        relabel["regex"]
        for job in read("prometheus.yml")["scrape_configs"]
        for relabel in job["metric_relabel_configs"]
    ]
    asked = {name for rule in RULES for name in re.findall(r"\b[a-z]+_\w+(?=[{\[)\s]|$)", rule["expr"])}
    assert len(asked) >= 9
    assert [name for name in asked if not any(re.fullmatch(regex, name) for regex in kept)] == []


@pytest.mark.parametrize("declared", [stack, recovery], ids=lambda declared: str(declared.name))
def test_prometheus_scrapes_every_instance_that_tells_metrics_through_its_own_sidecar(
    declared: Stack,
) -> None:
    prometheus = declared.instance("prometheus-1")
    targets = dict(job.split("=") for job in prometheus.env["TARGETS"].split())
    jobs = {job["job_name"] for job in read("prometheus.yml")["scrape_configs"]}
    assert set(targets) == jobs - ({"backup"} if declared is stack else set())
    addresses = {address for listed in targets.values() for address in listed.split(",")}
    edges = {f"{edge.upstream}:{edge.port}" for edge in declared.edges if edge.source == "prometheus-1"}
    assert addresses | {"alertmanager-1:9093"} <= edges
    telling = {
        "app": ("http",),
        "worker": ("http",),
        "front": ("stats",),
        "pgproxy": ("stats",),
        "postgres": ("patroni", "metrics"),
        "etcd": ("client",),
        "prober": ("http",),
        "repository": ("metrics",),
        "restore": ("metrics",),
    }
    assert addresses == {
        f"{i.name}:{i.ports[port]}"
        for i in declared.instances
        for port in telling.get(i.service, ())
        if port in i.ports
    }
