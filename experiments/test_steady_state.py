"""What the drills take for granted about the sample service, mostly asked through its front."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests

from blackstart.platforms.waiting import wait_until

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

pytestmark = [pytest.mark.chaos, pytest.mark.headline]

Call = Callable[..., requests.Response]


def _chat(client: Call, session: str, key: str, message: str = "What is a standby?") -> requests.Response:
    return client(
        "POST", "/chat", json={"session": session, "message": message}, headers={"Idempotency-Key": key}
    )


def test_a_repeated_key_is_answered_once(client: Call) -> None:
    session, key = f"s-{uuid.uuid4()}", str(uuid.uuid4())
    first, again = _chat(client, session, key).json(), _chat(client, session, key).json()
    assert again["answer"] == first["answer"]
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert client("GET", f"/session/{session}").json()["ids"] == [key]


def test_every_answer_names_its_degradations_and_its_replica(client: Call) -> None:
    def whole() -> str | None:
        answer = _chat(client, f"s-{uuid.uuid4()}", str(uuid.uuid4()), f"Who are you? {uuid.uuid4()}").json()
        assert answer["replica"] in ("app-1", "app-2", "app-3")
        return None if answer["degraded"] == [] else f"degraded: {answer['degraded']}"

    # A replica that has only just been started may skip the cache until its breaker has closed again.
    wait_until("an answer without degradations", whole, limit="20s")


def test_a_stream_ends_with_an_event_that_says_so(client: Call) -> None:
    with client(
        "POST",
        "/chat/stream",
        json={"session": f"s-{uuid.uuid4()}", "message": f"Stream this. {uuid.uuid4()}"},
        headers={"Idempotency-Key": str(uuid.uuid4())},
        stream=True,
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = [line for line in answer.iter_lines(decode_unicode=True) if line.startswith("event:")]
    assert events[-1] in ("event: done", "event:done"), events


def test_nobody_gets_in_without_a_token(client: Call) -> None:
    assert client("GET", "/session/s1", headers={"Authorization": ""}).status_code == 401
    assert client("GET", "/session/s1", headers={"Authorization": "Bearer forged"}).status_code == 401


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/live", "/docs", "/redoc", "/openapi.json"])
def test_the_front_tells_nobody_about_the_inside(client: Call, path: str) -> None:
    assert client("GET", path).status_code == 404


def test_the_front_says_that_a_replica_is_ready(client: Call) -> None:
    assert client("GET", "/health/ready").status_code == 200


def test_the_longest_documents_that_the_service_takes_pass_the_front(client: Call) -> None:
    longest = {"documents": [{"id": f"d{n}", "content": "Ж" * 3000} for n in range(16)]}
    assert client("POST", "/documents", json=longest).status_code == 200


def test_a_replicas_health_tells_every_dependency_with_its_latency(sample: RunningStack) -> None:
    health = requests.get(sample.url("app-1", "http", "/health"), timeout=5).json()
    assert {"postgres", "redis"} <= set(health["dependencies"])
    assert all("ms" in state for state in health["dependencies"].values()), health
