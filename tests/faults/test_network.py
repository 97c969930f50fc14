"""Plans of faults on the network, on a platform in memory: who is kept from whom, and how it is undone."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from blackstart.faults import Undo, bandwidth_limit, packet_delay, packet_loss, partition
from blackstart.model.errors import BiteError, CapabilityMissing, ConfigError, InjectionError, PlatformError
from blackstart.platforms.capabilities import ExecResult
from tests.faults.fakes import FakeSite, site

NET = {name: f"bs-r1-{name}-net" for name in ("app-1", "pg-1", "pg-2")}


def ip(where: FakeSite, name: str) -> str:
    return where.platform.addresses(NET[name])[0]


def test_a_partition_drops_by_the_addresses_of_its_peers_alone() -> None:
    where = site()
    undo = Undo.from_dict(json.loads(json.dumps(partition("postgres.primary", "pg-2").plan(where).to_dict())))
    assert undo.targets == (NET["pg-1"],)
    (place,) = undo.data["places"].values()
    drops = [line.strip() for line in place["ruleset"].splitlines() if "drop" in line]
    own = ip(where, "pg-2")
    assert drops == [f"ip saddr {{ {own} }} counter drop", f"ip daddr {{ {own} }} counter drop"]
    assert undo.manual == f"docker exec {NET['pg-1']} nft delete table inet blackstart_{undo.id}"


def test_instances_of_one_service_are_kept_from_each_other_and_not_from_themselves() -> None:
    where = site()
    undo = partition("postgres", "postgres", direction="inbound").plan(where)
    rules = {sidecar: place["ruleset"] for sidecar, place in undo.data["places"].items()}
    assert set(rules) == {NET["pg-1"], NET["pg-2"]}
    assert ip(where, "pg-2") in rules[NET["pg-1"]]
    assert ip(where, "pg-1") not in rules[NET["pg-1"]]


def test_a_peer_by_role_that_turns_out_to_be_the_target_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="no peer but itself"):
        partition("pg-1", "postgres.primary").plan(site())


def test_peers_that_are_down_are_left_out_and_a_target_that_is_down_is_refused() -> None:
    where = site()
    where.platform.kill(NET["pg-2"])
    undo = partition("pg-1").plan(where)
    assert list(undo.data["probes"][0]["to"]) == ["app-1"]
    with pytest.raises(InjectionError, match="every peer of 'pg-1' is down"):
        partition("pg-1", "pg-2").plan(where)
    with pytest.raises(InjectionError, match="bs-r1-pg-2-net is down"):
        partition("pg-2").plan(where)


def test_loss_is_put_where_the_packets_arrive() -> None:
    where = site()
    inbound = packet_loss("pg-1", percent=2.5, direction="inbound").plan(where)
    assert inbound.targets == (NET["pg-1"],)
    assert "numgen random mod 10000 < 250" in inbound.data["places"][NET["pg-1"]]["ruleset"]
    outbound = packet_loss("pg-1", direction="outbound").plan(where)
    assert outbound.targets == (NET["pg-1"],), "the blast radius counts whom it happens to"
    assert set(outbound.data["places"]) == {NET["pg-2"], NET["app-1"]}
    assert all(ip(where, "pg-1") in p["ruleset"] for p in outbound.data["places"].values())


def test_a_kernel_without_the_scheduler_lacks_a_capability() -> None:
    with pytest.raises(CapabilityMissing, match=r"netem \(module sch_netem\), which packet_delay needs"):
        packet_delay("pg-1").plan(site())


def test_a_second_limit_on_one_interface_is_refused() -> None:
    where = site()
    told = {"ip": "7: eth0 inet 10.0.0.1/16", "tc": "qdisc htb b1ac: root"}
    where.platform.answer = lambda name, cmd: ExecResult(0, told[cmd[0]])
    with pytest.raises(InjectionError, match="shaped already: qdisc htb"):
        bandwidth_limit("pg-1").plan(where)
    told["tc"] = "qdisc noqueue 0: root"
    undo = bandwidth_limit("pg-1").plan(where)
    assert undo.manual.endswith(f"; docker exec {NET['pg-1']} tc qdisc del dev eth0 root")


def test_one_place_that_does_not_answer_does_not_keep_the_others_disturbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where, fault = site(), packet_loss("pg-1", direction="outbound")
    undo = fault.plan(where)
    asked = []

    def answer(name: str, cmd: Sequence[str]) -> ExecResult:
        asked.append(name)
        return ExecResult(1 if name == NET["pg-2"] else 0, "no")

    where.platform.answer = answer
    with pytest.raises(PlatformError, match=f"{NET['pg-2']}: no"):
        type(fault).undo(undo, where.platform)
    assert set(asked) == {NET["pg-2"], NET["app-1"]}


def test_a_network_that_cannot_be_mended_is_exchanged_with_its_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    where, fault = site(), partition("postgres")
    undo = fault.plan(where)
    renewed: list[str] = []
    monkeypatch.setattr("blackstart.faults._pods.renew", lambda pod, platform: renewed.append(pod["sidecar"]))
    left = {NET["pg-2"]: f"the table blackstart_{undo.id}"}
    where.platform.answer = lambda name, cmd: ExecResult(0, left.get(name, ""))
    type(fault).escalate(undo, where.platform)
    assert renewed == [NET["pg-2"]]
    where.platform.kill(NET["pg-2"])
    assert type(fault).undone(undo, where.platform) is None, "a namespace goes with its sidecar"


def test_silence_alone_is_no_partition() -> None:
    where, fault = site(), partition("pg-1", "pg-2")
    undo, dropped = fault.plan(where), 0

    def answer(name: str, cmd: Sequence[str]) -> ExecResult:
        rule = {"rule": {"expr": [{"counter": {"packets": dropped}}, {"drop": None}]}}
        return ExecResult(0, json.dumps({"nftables": [rule]}) if cmd[0] == "nft" else "")

    where.platform.answer = answer
    with pytest.raises(BiteError, match="nothing was dropped"):
        fault.bite(where, undo)
    dropped = 1
    assert fault.bite(where, undo) == f"{NET['pg-1']} hears nothing of pg-2"


def test_a_delay_without_an_answer_is_not_felt() -> None:
    where, fault = site(), packet_delay("pg-1", "20ms")
    undo = Undo(fault.kind, "r1", (NET["pg-1"],), {"probes": [{"from": NET["pg-1"], "address": "10.0.0.9"}]})
    where.platform.answer = lambda name, cmd: ExecResult(0, "")
    with pytest.raises(BiteError, match=r"no answer within 1\.02 s"):
        fault.bite(where, undo)
    with pytest.raises(ConfigError, match="valid are 7 s together"):
        packet_delay("pg-1", "10s")
