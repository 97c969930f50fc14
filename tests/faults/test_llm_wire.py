"""Every LLM fault as OpenAI's own client meets it, and that nothing of it is left after the undo."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import openai
import pytest

from blackstart.faults import (
    llm_content_filter,
    llm_context_length,
    llm_cut,
    llm_duplicate_chunk,
    llm_embeddings_dimension,
    llm_embeddings_space,
    llm_empty,
    llm_error,
    llm_hang,
    llm_malformed_json,
    llm_malformed_sse,
    llm_malformed_tool_call,
    llm_quota,
    llm_rate_limit,
    llm_refusal,
    llm_slow_first_token,
    llm_slow_tokens,
    llm_unfinished,
    llm_wrong_model,
)
from blackstart.platforms.waiting import wait_until
from tests.faults.providers import Provider
from tests.faults.wire_client import MESSAGES, TOOLS, Answer, Client, calls

pytestmark = pytest.mark.integration

BOTH = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@pytest.fixture
def provider(provider_pod: Provider) -> Iterator[Provider]:
    """The provider in its pod; its counts at zero, and no script left behind."""
    provider_pod.reset()
    yield provider_pod
    assert not provider_pod.scripts()


@pytest.fixture
def client(provider: Provider) -> Iterator[Client]:
    """A client; before and after the test the provider answers alike, and well."""
    found = Client(provider)
    usual = found.usual()
    assert usual[0] == usual[1]
    assert usual[2:4] == ("stop", "stop")
    yield found
    assert found.usual() == usual, "something of the fault is left"


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (401, openai.AuthenticationError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_an_error_is_raised_by_every_call(
    client: Client, status: int, raised: type[openai.APIStatusError]
) -> None:
    with client.provider.struck(llm_error("llm-1", status=status, delay="100ms")):
        for call in calls(client):
            began = time.monotonic()
            with pytest.raises(raised) as caught:
                call()
            assert caught.value.status_code == status
            assert 0.1 <= time.monotonic() - began < 3


@pytest.mark.parametrize("date", [False, True], ids=["seconds", "date"])
def test_a_rate_limit_says_when_to_come_back(client: Client, date: bool) -> None:
    with client.provider.struck(llm_rate_limit("llm-1", retry_after="30s", date=date)):
        for call in calls(client):
            with pytest.raises(openai.RateLimitError) as caught:
                call()
            told = caught.value.response.headers["retry-after"]
            ahead = parsedate_to_datetime(told).timestamp() - time.time() if date else float(told)
            assert 28 < ahead <= 30.1
            assert caught.value.code == "rate_limit_exceeded"


@pytest.mark.parametrize("date", [False, True], ids=["seconds", "date"])
def test_a_client_that_retries_waits_so_long_and_succeeds(client: Client, date: bool) -> None:
    with client.provider.struck(llm_rate_limit("llm-1", retry_after="2s", date=date, calls="1")):
        began = time.monotonic()
        told = client.raw.with_options(max_retries=1).models.list()
        waited = time.monotonic() - began
    assert told.data
    assert 1 <= waited < 5, "a date is cut to whole seconds; the client's own back-off is below 1 s"


def test_a_used_up_quota_and_an_excessive_context_are_told_by_code(client: Client) -> None:
    with client.provider.struck(llm_quota("llm-1")):
        for call in calls(client):
            with pytest.raises(openai.RateLimitError) as limited:
                call()
            assert limited.value.code == "insufficient_quota"
            assert "retry-after" not in limited.value.response.headers
    with client.provider.struck(llm_context_length("llm-1", limit=99)):
        for call in calls(client)[:3]:
            with pytest.raises(openai.BadRequestError, match="99 tokens") as long:
                call()
            assert long.value.code == "context_length_exceeded"
        assert client.raw.models.list().data


def test_a_hanging_call_ends_by_the_clients_deadline_alone(client: Client) -> None:
    with client.provider.struck(llm_hang("llm-1")) as bite:
        assert bite == "llm-1 is silent for 2.0 s"
        for stream in (True, False):
            began = time.monotonic()
            with pytest.raises(openai.APITimeoutError):
                client.chat(stream, timeout=0.5)
            assert 0.5 <= time.monotonic() - began < 3
        with pytest.raises(openai.APITimeoutError):
            client.embed(timeout=0.5)
        wait_until("the provider to notice that the callers left", lambda: under_way(client), limit="2s")
    with client.provider.struck(llm_hang("llm-1", headers=True)):
        began = time.monotonic()
        with pytest.raises(openai.APITimeoutError):
            client.chat(True, timeout=0.5)
        assert client.partial == Answer()
        assert 0.5 <= time.monotonic() - began < 3


def under_way(client: Client) -> str | None:
    """How many struck calls have not ended; None if all have, and there were some."""
    ends = [entry["end"] for entry in client.provider.told()["log"] if entry["fault"]]
    return None if ends and None not in ends else f"{ends.count(None)} of {len(ends)}"


def test_the_undo_frees_a_hanging_call(client: Client) -> None:
    patient = ThreadPoolExecutor(1)
    with client.provider.struck(llm_hang("llm-1")):
        waiting = patient.submit(client.chat, False, timeout=30)
        wait_until(
            "the call to hang",
            lambda: None if client.provider.told()["struck"] == 1 else "no call",
            limit="5s",
        )
        assert not waiting.done()
    with pytest.raises(openai.APIConnectionError):
        waiting.result(timeout=2)
    patient.shutdown()


@BOTH
def test_a_slow_first_token_delays_the_first_only(client: Client, stream: bool) -> None:
    with client.provider.struck(llm_slow_first_token("llm-1", delay="1s")):
        seen = client.chat(stream)
        assert seen.at[0] >= 1
        assert seen.at[-1] - seen.at[0] < 0.9
        began = time.monotonic()
        client.embed()
        assert time.monotonic() - began >= 1


def test_the_head_of_a_slow_answer_can_come_at_once(client: Client) -> None:
    body = {"messages": MESSAGES, "stream": True}
    session = httpx.Client(base_url=client.provider.url, trust_env=False, verify=False)
    for headers in (True, False):
        with client.provider.struck(llm_slow_first_token("llm-1", delay="1s", headers=headers)):
            began = time.monotonic()
            with session.stream("POST", "/v1/chat/completions", json=body, timeout=5) as response:
                head = time.monotonic() - began
                next(response.iter_bytes())
                first = time.monotonic() - began
        assert (head < 0.8) is headers
        assert first >= 1
    session.close()


def test_slow_tokens_trickle_and_a_whole_answer_is_late_by_their_sum(client: Client) -> None:
    usual = client.chat(True)
    tokens = len([piece for piece in usual.pieces if piece])
    with client.provider.struck(llm_slow_tokens("llm-1", gap="50ms")):
        seen = client.chat(True)
        assert seen.text == usual.text
        assert seen.at[-1] - seen.at[0] >= 0.05 * (tokens - 1)
        gaps = sorted(b - a for a, b in zip(seen.at, seen.at[1:], strict=False))
        assert gaps[len(gaps) // 2] >= 0.04, "spread over the stream, not all at its end"
        whole = client.chat(False)
        assert whole.text == usual.text
        assert whole.at[0] >= 0.05 * (tokens - 1)


@pytest.mark.parametrize("chunks", [0, 1, 5])
def test_a_cut_stream_ends_by_a_tcp_reset_after_so_many_chunks(client: Client, chunks: int) -> None:
    usual = client.chat(True)
    with client.provider.struck(llm_cut("llm-1", chunks=chunks)) as bite:
        assert bite == f"llm-1 breaks off after {chunks} chunks"
        with pytest.raises(openai.APIConnectionError):
            client.chat(True)
        assert client.partial.pieces == usual.pieces[:chunks]
        body = json.dumps({"messages": MESSAGES, "stream": True})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        came = b""
        with socket.create_connection(client.provider.direct, timeout=3) as wire:
            wire.sendall((head + body).encode())
            with pytest.raises(ConnectionResetError):
                while data := wire.recv(65536):
                    came += data
        assert came.startswith(b"HTTP/1.1 200 OK")
        assert came.count(b"data: ") == chunks


def test_a_cut_whole_answer_breaks_off_in_its_body(client: Client) -> None:
    with client.provider.struck(llm_cut("llm-1", endpoint="embeddings")) as bite:
        assert " characters" in bite
        with pytest.raises(openai.APIConnectionError):
            client.embed()
        assert client.chat(True).finish == "stop"
    with client.provider.struck(llm_cut("llm-1")), pytest.raises(openai.APIConnectionError):
        client.chat(False)


@BOTH
def test_an_unfinished_answer_ends_as_if_nothing_were_wrong(client: Client, stream: bool) -> None:
    usual = client.chat(True)
    with client.provider.struck(llm_unfinished("llm-1", chunks=4)):
        seen = client.chat(stream)
        assert seen.text == "".join(usual.pieces[:4])
        assert seen.finish is None


def test_malformed_json_is_good_http(client: Client) -> None:
    with client.provider.struck(llm_malformed_json("llm-1")):
        for call in calls(client):
            with pytest.raises(json.JSONDecodeError):
                call()
        with pytest.raises(json.JSONDecodeError):
            client.chat(True)
        assert client.partial.text, "what came before is whole"
        answer = httpx.get(client.provider.url + "/v1/models", trust_env=False, verify=False)
        assert (answer.status_code, len(answer.content)) == (200, int(answer.headers["content-length"]))


def test_a_malformed_stream_cannot_be_told_apart(client: Client) -> None:
    with client.provider.struck(llm_malformed_sse("llm-1")):
        with pytest.raises(json.JSONDecodeError):
            client.chat(True)
        assert not client.partial.pieces
        assert client.chat(False).finish == "stop"


@BOTH
def test_a_malformed_tool_call_names_the_tool_and_breaks_off(client: Client, stream: bool) -> None:
    with client.provider.struck(llm_malformed_tool_call("llm-1")):
        seen = client.chat(stream, tools=TOOLS)
        assert (seen.tool, seen.finish, seen.text) == ("track", "tool_calls", "")
        with pytest.raises(json.JSONDecodeError):
            json.loads(seen.arguments)


@BOTH
def test_an_answer_of_no_use_is_in_good_form(client: Client, stream: bool) -> None:
    usual = client.chat(True)
    with client.provider.struck(llm_empty("llm-1")):
        seen = client.chat(stream)
        assert (seen.text, seen.finish, seen.refusal) == ("", "stop", "")
    with client.provider.struck(llm_content_filter("llm-1", chunks=3)):
        seen = client.chat(stream)
        assert (seen.text, seen.finish) == ("".join(usual.pieces[:3]), "content_filter")
    with client.provider.struck(llm_refusal("llm-1")):
        seen = client.chat(stream)
        assert (seen.pieces, seen.refusal, seen.finish) == ([], "I can't help with that.", "stop")
    with client.provider.struck(llm_wrong_model("llm-1", echo="small-1")):
        seen = client.chat(stream)
        assert (seen.text, seen.model) == (usual.text, "small-1")
        assert client.embed().model == "small-1"


def test_a_duplicated_chunk_is_said_twice(client: Client) -> None:
    usual = client.chat(True)
    with client.provider.struck(llm_duplicate_chunk("llm-1", chunk=3)):
        assert client.chat(True).pieces == [*usual.pieces[:3], *usual.pieces[2:]]
        assert client.chat(False).text == usual.text


@pytest.mark.parametrize("packing", ["float", "base64"])
def test_embeddings_of_another_kind(client: Client, packing: Any) -> None:
    usual = client.embed(encoding_format=packing).data[0].embedding
    with client.provider.struck(llm_embeddings_dimension("llm-1", dimensions=100)):
        assert len(client.embed().data[0].embedding) == 100
    with client.provider.struck(llm_embeddings_space("llm-1")):
        other = client.embed().data[0].embedding
        assert len(other) == 64
        assert math.hypot(*other) == pytest.approx(1, abs=1e-5)
        assert (
            abs(sum(a * b for a, b in zip(other, client.embed().data[0].embedding, strict=True)) - 1) < 1e-5
        )
        own = Client(client.provider)
        own.raw = own.raw.with_options(default_headers={"X-Blackstart-Probe": "none"})
        original = own.embed().data[0].embedding
        assert abs(sum(a * b for a, b in zip(other, original, strict=True))) < 0.6
    assert len(usual) in (64, 344), "as floats, or as the base64 of 256 bytes"


def test_a_fault_that_nobody_undoes_ends_in_place(client: Client) -> None:
    fault, site = llm_quota("llm-1", max_duration="500ms"), client.provider.site
    undo = fault.plan(site)
    began = time.monotonic()
    fault.inject(site, undo)
    assert fault.bite(site, undo)
    wait_until("the provider to end it", lambda: type(fault).undone(undo, site.platform), limit="10s")
    assert time.monotonic() - began >= 5.4, "5 s after its maximum duration"


def failing(client: Client, number: int, **more: Any) -> list[int]:
    """Which of so many chats in turn fail, counted from 1."""
    failed = []
    for n in range(1, number + 1):
        try:
            client.chat(False, **more)
        except openai.APIStatusError:
            failed.append(n)
    return failed


@pytest.mark.parametrize(
    ("which", "expected"), [("3", [3]), ("2-4", [2, 3, 4]), ("5-", [5, 6, 7]), ("1-/3", [1, 4, 7])]
)
def test_only_the_scripted_calls_fail(client: Client, which: str, expected: list[int]) -> None:
    with client.provider.struck(llm_error("llm-1", calls=which)):
        assert failing(client, 7) == expected
        assert client.provider.told()["struck"] == len(expected)


def test_only_the_model_and_the_endpoint_meant_fail(client: Client) -> None:
    with client.provider.struck(llm_error("llm-1", model="gpt-4*", endpoint="chat", calls="2-")):
        assert failing(client, 3, model="gpt-5") == []
        assert client.raw.models.list().data
        assert client.embed().data
        assert failing(client, 3, model="gpt-4o") == [2, 3], "the others were not counted"


def test_a_probability_strikes_the_same_calls_whoever_comes_first(client: Client) -> None:
    """Of 150 calls 45 in the mean. For a fair hash more than 30 off has probability below 2 exp(-12), 1.3e-5
    (Hoeffding: 2 exp(-2 n (30/n)^2)); the seed is fixed, so that a pass today is a pass for ever."""
    number, seen = 150, []
    session = httpx.Client(base_url=client.provider.url, trust_env=False, verify=False)

    def ask(_: int) -> bool:
        return session.get("/v1/models").status_code == 503

    for threads in (1, 1, 8):
        fault = llm_error("llm-1", endpoint="models", probability=0.3, seed=11)
        with client.provider.struck(fault), ThreadPoolExecutor(threads) as pool:
            seen.append(list(pool.map(ask, range(number))))
    assert seen[0] == seen[1], "in turn, the same calls"
    assert sum(seen[0]) == sum(seen[2]), "at once, as many"
    assert abs(sum(seen[0]) - 0.3 * number) <= 30
    with client.provider.struck(llm_error("llm-1", endpoint="models", probability=0.3, seed=12)):
        assert list(map(ask, range(number))) != seen[0], "another seed, other calls"
    session.close()


def test_what_was_asked_is_kept_with_what_it_met(client: Client) -> None:
    client.provider.reset()
    threads = [threading.Thread(target=client.chat, args=(False,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with client.provider.struck(llm_error("llm-1")), pytest.raises(openai.APIStatusError):
        client.chat(True)
    told = client.provider.told()
    assert (told["total"], told["chat"], told["chat_stream"], told["struck"]) == (4, 3, 1, 1)
    assert [entry["fault"] for entry in told["log"]] == [None, None, None, "error"]
    last = told["log"][-1]
    assert (last["asked"], last["model"], last["stream"]) == ("Where is my parcel?", "gpt-4o", True)
    assert last["begin"] <= last["end"]
    assert told["by_rule"] == {last["script"]: [1]}, "kept after the undo"
