"""LLM faults from plan to undo, against the sample's provider in a process of its own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest
import requests

from blackstart import faults
from blackstart.faults import REGISTRY, Fault, fault_from_dict, llm_error, llm_quota, llm_rate_limit
from blackstart.faults._llm import LlmFault, parse_calls
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from tests.faults.providers import Provider
from tests.llmstack import stack

#: Each with the parameters that make it quickest to see.
QUICK: dict[str, dict[str, Any]] = {
    "llm_slow_first_token": {"delay": "300ms"},
    "llm_slow_tokens": {"gap": "30ms"},
}
ALL: list[LlmFault] = [
    getattr(faults, kind)("llm-1", **QUICK.get(kind, {}))
    for kind, cls in sorted(REGISTRY.items())
    if issubclass(cls, LlmFault)
]


@pytest.fixture
def provider(provider_process: Provider) -> Provider:
    """Here the process alone."""
    provider_process.reset()
    return provider_process


@pytest.mark.parametrize("fault", ALL, ids=lambda f: f.kind)
def test_it_bites_is_not_counted_and_is_undone_from_the_record_alone(
    provider: Provider, fault: LlmFault
) -> None:
    fault = replace(fault, model="gpt-?*", calls="7-9", probability=0.01, max_duration="60s")
    undo = fault.plan(provider.site)
    fault.inject(provider.site, undo)
    try:
        assert fault.bite(provider.site, undo).startswith("llm-1 ")
        (script,) = provider.scripts().values()
        assert script["expires_s"] == 65, "it ends by itself soon after its maximum duration"
        assert type(fault).undone(undo, provider.site) == f"llm-1 still follows script {undo.id}"
        told = provider.told()
        assert (told["total"], told["struck"], told["log"]) == (0, 0, [])
        assert script["rules"][0]["matched"] == 0, "our own calls use up none of the app's"
    finally:
        provider.mend(fault, undo)
    with pytest.raises(BiteError):
        fault.bite(provider.site, undo)
    type(fault).undo(undo, provider.site)
    assert type(fault).undone(undo, provider.site) is None


@pytest.mark.parametrize("fault", ALL, ids=lambda f: f.kind)
def test_it_round_trips_through_json(fault: Fault) -> None:
    assert fault_from_dict(json.loads(json.dumps(fault.to_dict()))) == fault


def test_every_fault_of_the_provider_has_one_here(provider: Provider) -> None:
    known = requests.get(provider.url + "/admin/script", timeout=3).json()["faults"]
    assert sorted(known) == sorted(fault.wire for fault in ALL)


def test_two_are_in_force_at_a_time_and_each_is_undone_alone(provider: Provider) -> None:
    models, chat = provider.url + "/v1/models", provider.url + "/v1/chat/completions"
    body = {"messages": [{"role": "user", "content": "hi"}]}

    def statuses() -> tuple[int, int]:
        return requests.get(models, timeout=3).status_code, requests.post(
            chat, json=body, timeout=3
        ).status_code

    first, second = llm_error("llm-1", status=500, endpoint="chat"), llm_rate_limit("llm-1")
    with provider.struck(second) as bite:
        assert bite == "llm-1 answers 429, Retry-After: 5"
        undo = first.plan(provider.site)
        first.inject(provider.site, undo)
        assert first.bite(provider.site, undo) == "llm-1 answers 500", "though the older one goes first"
        assert statuses() == (429, 429)
        provider.mend(first, undo)
        assert statuses() == (429, 429)
    with provider.struck(first), provider.struck(second):
        assert statuses() == (429, 500)
    assert statuses() == (200, 200)


def test_a_fault_that_the_provider_did_not_take_up_does_not_bite(provider: Provider) -> None:
    fault = llm_quota("llm-1")
    undo = fault.plan(provider.site)
    with pytest.raises(BiteError, match="llm-1 shows no llm_quota"):
        fault.bite(provider.site, undo)


def test_the_manual_command_undoes_it(provider: Provider) -> None:
    fault = llm_quota("llm-1")
    undo = fault.plan(provider.site)
    fault.inject(provider.site, undo)
    subprocess.run(undo.manual, shell=True, check=True, capture_output=True, timeout=10)  # noqa: S602
    assert type(fault).undone(undo, provider.site) is None


def test_a_provider_without_scripts_is_refused_before_anything_is_touched(provider: Provider) -> None:
    elsewhere = replace(provider.site, port=1)
    with pytest.raises(InjectionError, match="llm-1 takes no scripts"):
        llm_error("llm-1").plan(elsewhere)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (None, (1, None, 1)),
        ("3", (3, 3, 1)),
        ("2-4", (2, 4, 1)),
        ("5-", (5, None, 1)),
        ("1-/3", (1, None, 3)),
        ("2-8/2", (2, 8, 2)),
    ],
)
def test_calls_are_a_range(calls: str | None, expected: tuple[int, int | None, int]) -> None:
    assert tuple(parse_calls(calls).values()) == expected


@pytest.mark.parametrize(
    ("make", "params", "named"),
    [
        ("llm_error", {"status": 200}, "valid are 400 to 599"),
        ("llm_error", {"delay": "2h"}, "use llm_hang"),
        ("llm_error", {"endpoint": "images"}, "it strikes: chat, embeddings, models"),
        ("llm_empty", {"endpoint": "embeddings"}, "it strikes: chat"),
        ("llm_embeddings_space", {"endpoint": "chat"}, "it strikes: embeddings"),
        ("llm_error", {"model": "gpt-[45]"}, "only \\* and \\? match"),
        ("llm_error", {"calls": "4-2"}, "write '3', '2-4', '5-'"),
        ("llm_error", {"calls": "0"}, "write '3', '2-4', '5-'"),
        ("llm_error", {"calls": 3}, "write '3', '2-4', '5-'"),
        ("llm_error", {"probability": 0}, "above 0 and at most 1"),
        ("llm_error", {"seed": -1}, "seed -1"),
        ("llm_rate_limit", {"retry_after": "1.5s"}, "whole seconds"),
        ("llm_context_length", {"limit": 0}, "limit 0"),
        ("llm_slow_first_token", {"delay": 0}, "1 ms to 1 h"),
        ("llm_slow_tokens", {"gap": "2h"}, "1 ms to 1 h"),
        ("llm_cut", {"chunks": -1}, "chunks -1"),
        ("llm_unfinished", {"chunks": 0}, "chunks 0"),
        ("llm_content_filter", {"chunks": -1}, "chunks -1"),
        ("llm_duplicate_chunk", {"chunk": 0}, "chunk 0"),
        ("llm_wrong_model", {"echo": ""}, "name of a model"),
        ("llm_embeddings_dimension", {"dimensions": 5000}, "1 to 4096"),
        (
            "llm_hang",
            {"header": True},
            "it has: target, headers, .*model, endpoint, calls, probability, seed",
        ),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_with_those_that_can(
    make: str, params: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        getattr(faults, make)("llm-1", **params)


def test_a_port_that_is_not_published_is_answered_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="llm-1 publishes no port 'grpc'; it publishes: http"):
        llm_error("llm-1", port="grpc").validate(stack)
