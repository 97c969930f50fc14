"""The HTTP interface over a runner that is not there."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from sut.app.service.api import Parts, make_app
from sut.app.service.config import Settings
from sut.app.service.content import Unreadable
from sut.app.service.database import make_pool
from sut.app.service.documents_api import MOST
from sut.app.service.errors import Refusal
from sut.app.service.health import Dependency
from sut.app.service.ingest import Document
from sut.app.service.metrics import Metrics
from sut.app.service.readiness import Readiness
from sut.app.service.state import LISTED, Answer
from sut.load import token

from .fakes import FakeIngester, FakeRunner, NoEmbedder

SECRET = "a secret of at least thirty-two bytes"
BODY = {"session": "s1", "message": "How?"}


async def good() -> None:
    """A dependency that is well."""


async def bad() -> None:
    """A dependency that is not."""
    raise ConnectionError


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def ingester() -> FakeIngester:
    return FakeIngester()


@pytest.fixture
def parts(runner: FakeRunner, ingester: FakeIngester) -> Parts:
    metrics = Metrics()
    metrics.breaker("llm-primary")
    pool = make_pool("postgresql://nowhere/", name="unused", size=1, check_timeout=1)
    dependencies = {"postgres": Dependency(good, vital=True), "redis": Dependency(good)}
    settings = Settings(node="app-1", zone="a", jwt_secret=SECRET)
    return Parts(settings, metrics, runner, Readiness(pool, NoEmbedder()), dependencies, ingester)


@pytest.fixture
def client(parts: Parts) -> Iterator[TestClient]:
    app = make_app(parts.metrics)
    app.state.parts = parts
    with TestClient(app) as made:
        made.headers["Authorization"] = f"Bearer {token('ann', 60, SECRET)}"
        made.headers["Idempotency-Key"] = "k1"
        yield made


def test_a_chat_names_its_degradations_replica_and_trace(client: TestClient, runner: FakeRunner) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = client.post("/chat", json=BODY, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert answer.status_code == 200
    assert answer.json() == {
        "session": "s1",
        "id": "k1",
        "answer": "hi",
        "degraded": ["no-cache"],
        "replica": "app-1",
        "model": "model-1",
        "trace_id": trace,
        "replayed": False,
    }
    assert answer.headers["x-trace-id"] == trace
    assert runner.turns[0].subject == "ann"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Basic abc",
        "Bearer not.a.token",
        f"Bearer {token('ann', 60, 'another secret of more than 32 bytes')}",
        f"Bearer {token('ann', -1, SECRET)}",
    ],
    ids=["none", "empty", "scheme", "garbage", "forged", "expired"],
)
@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/documents", "/session/s1"])
def test_nobody_gets_in_without_a_valid_token(
    client: TestClient, runner: FakeRunner, header: str, path: str
) -> None:
    headers = {"Authorization": header}
    answer = (
        client.get(path, headers=headers)
        if "session" in path
        else client.post(path, json=BODY, headers=headers)
    )
    assert answer.status_code == 401
    assert runner.turns == []


@pytest.mark.parametrize("body", ["{}", "not even JSON"])
def test_a_stranger_is_not_told_what_is_wrong_with_the_body(client: TestClient, body: str) -> None:
    del client.headers["Authorization"], client.headers["Idempotency-Key"]
    assert client.post("/chat", content=body).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"session": "s1"},
        {**BODY, "message": ""},
        {**BODY, "message": "x" * 4001},
        {**BODY, "session": ""},
        {**BODY, "message": "nul \x00"},
        {**BODY, "session": "s\x001"},
        {**BODY, "session": "s1\n"},
        {**BODY, "session": "s\x7f1"},
    ],
)
def test_a_malformed_chat_is_refused(client: TestClient, body: dict[str, str]) -> None:
    assert client.post("/chat", json=body).status_code == 422


def test_half_a_surrogate_pair_is_refused_too(client: TestClient) -> None:
    body = b'{"session": "s1", "message": "\\ud800"}'
    answer = client.post("/chat", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "message"]


def test_a_message_may_have_lines_and_tabs(client: TestClient) -> None:
    assert client.post("/chat", json={**BODY, "message": "one\n\ttwo\n"}).status_code == 200


@pytest.mark.parametrize("name", ["%00", "a%00b", "a%0A", "%1B"])
def test_a_session_is_not_read_by_a_name_with_control_characters(client: TestClient, name: str) -> None:
    assert client.get(f"/session/{name}").status_code == 422


def test_an_idempotency_key_has_no_control_characters(client: TestClient) -> None:
    headers = {"Idempotency-Key": "a\tb"}
    assert client.post("/chat", json=BODY, headers=headers).status_code == 422


def test_an_unforeseen_error_is_json_with_its_trace(parts: Parts, runner: FakeRunner) -> None:
    runner.outcome = ZeroDivisionError("private")
    app = make_app(parts.metrics)
    app.state.parts = parts
    headers = {"Authorization": f"Bearer {token('ann', 60, SECRET)}", "Idempotency-Key": "k1"}
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post("/chat", json=BODY, headers=headers)
    assert answer.status_code == 500
    assert answer.json() == {"detail": "internal error", "trace_id": answer.headers["x-trace-id"]}
    assert len(answer.headers["x-trace-id"]) == 32


def test_a_chat_needs_an_idempotency_key(client: TestClient) -> None:
    del client.headers["Idempotency-Key"]
    assert client.post("/chat", json=BODY).status_code == 422


@pytest.mark.parametrize("certain", [True, False])
def test_a_refusal_says_whether_it_is_certain_that_nothing_was_applied(
    client: TestClient, runner: FakeRunner, certain: bool
) -> None:
    runner.outcome = Refusal(503, "the database does not answer", retry_after=1, not_applied=certain)
    answer = client.post("/chat", json=BODY)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers.get("x-not-applied") == ("true" if certain else None)


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return [
        (first.removeprefix("event: "), json.loads(second.removeprefix("data: "))) for first, second in blocks
    ]


def test_a_stream_ends_with_what_a_chat_would_have_answered(client: TestClient, runner: FakeRunner) -> None:
    runner.outcome = Answer("well met", (), "model-1")
    seen = events(client.post("/chat/stream", json=BODY).text)
    assert seen[:2] == [("token", {"text": "well"}), ("token", {"text": "met"})]
    assert seen[2][0] == "done"
    assert seen[2][1]["answer"] == "well met"


def test_a_stream_that_fails_says_so(client: TestClient, runner: FakeRunner) -> None:
    runner.outcome = Refusal(503, "no model answers")
    assert events(client.post("/chat/stream", json=BODY).text) == [
        ("error", {"status": 503, "detail": "no model answers"})
    ]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Refusal(503, "no model answers"), "503"), (Refusal(402, "spent"), "402"), (ZeroDivisionError(), "500")],
)
@pytest.mark.parametrize("without", [frozenset[str](), frozenset({"stream-end"})])
def test_a_stream_that_fails_is_counted_though_its_status_was_200(
    parts: Parts, runner: FakeRunner, outcome: Exception, status: str, without: frozenset[str]
) -> None:
    runner.outcome = outcome
    app = make_app(parts.metrics)
    app.state.parts = replace(parts, settings=replace(parts.settings, without=without))
    headers = {"Authorization": f"Bearer {token('ann', 60, SECRET)}", "Idempotency-Key": "k1"}
    counted = f'app_stream_errors_total{{status="{status}"}}'
    with TestClient(app, raise_server_exceptions=False) as client:
        assert f"{counted} 1.0" not in client.get("/metrics").text
        assert client.post("/chat/stream", json=BODY, headers=headers).status_code == 200
        text = client.get("/metrics").text
    assert f"{counted} 1.0" in text
    assert 'app_requests_total{route="/chat/stream",status="200"} 1.0' in text


def test_an_error_that_is_to_alert_is_counted_from_zero(client: TestClient) -> None:
    text = client.get("/metrics").text
    assert all(f'app_stream_errors_total{{status="{status}"}} 0.0' in text for status in (500, 503, 504))


def test_a_stream_that_fails_in_an_unforeseen_way_says_so_too(
    client: TestClient, runner: FakeRunner, caplog: pytest.LogCaptureFixture
) -> None:
    runner.outcome = Unreadable("my-private-words")
    assert events(client.post("/chat/stream", json=BODY).text) == [
        ("error", {"status": 500, "detail": "internal error"})
    ]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["a turn failed"]


def test_readiness_follows_writability_and_draining(client: TestClient, parts: Parts) -> None:
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 503
    parts.readiness.reason = None
    assert client.get("/health/ready").status_code == 200
    parts.readiness.drain()
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, "draining")
    assert client.post("/chat", json=BODY).status_code == 200


@pytest.mark.parametrize(
    ("broken", "status", "code"),
    [(None, "ok", 200), ("redis", "degraded", 200), ("postgres", "unusable", 503)],
)
def test_health_tells_degraded_from_unusable(
    parts: Parts, broken: str | None, status: str, code: int
) -> None:
    dependencies = dict(parts.dependencies)
    if broken:
        dependencies[broken] = replace(dependencies[broken], probe=bad)
    app = make_app(parts.metrics)
    app.state.parts = replace(parts, dependencies=dependencies)
    with TestClient(app) as client:
        answer = client.get("/health")
    assert (answer.json()["status"], answer.status_code) == (status, code)


def test_a_session_read_from_the_standby_is_declared_and_counted(
    client: TestClient, runner: FakeRunner
) -> None:
    assert client.get("/session/s1").json()["degraded"] == []
    runner.read_degraded = ("read-only",)
    assert client.get("/session/s1").json()["degraded"] == ["read-only"]
    assert 'app_degradations_total{mode="read-only"} 1.0' in client.get("/metrics").text


def test_a_read_asks_for_so_many_turns_at_most(client: TestClient, runner: FakeRunner) -> None:
    for asked in ("", "?limit=7"):
        assert client.get(f"/session/s1{asked}").status_code == 200
    assert runner.read_limits == [LISTED, 7]
    for asked in ("0", str(LISTED + 1), "all"):
        assert client.get(f"/session/s1?limit={asked}").status_code == 422


def test_documents_are_taken_in_for_the_user_of_the_token(client: TestClient, ingester: FakeIngester) -> None:
    body = {"documents": [{"id": "d1", "content": "one"}, {"id": "d2", "content": "two"}]}
    answer = client.post("/documents", json=body)
    assert (answer.status_code, answer.json()) == (200, {"ids": ["d1", "d2"], "changed": 2})
    assert ingester.taken == [("ann", Document("d1", "one")), ("ann", Document("d2", "two"))]


@pytest.mark.parametrize(
    "documents",
    [
        [],
        [{"id": "d1"}],
        [{"id": "", "content": "x"}],
        [{"id": "d\n1", "content": "x"}],
        [{"id": "d" * 129, "content": "x"}],
        [{"id": "d1", "content": ""}],
        [{"id": "d1", "content": " \n"}],
        [{"id": "d1", "content": "nul \x00"}],
        [{"id": "d1", "content": "x" * 3001}],
        [{"id": "d1", "content": "x"}, {"id": "d1", "content": "y"}],
        [{"id": f"d{n}", "content": "x"} for n in range(MOST + 1)],
    ],
)
def test_malformed_documents_are_refused(
    client: TestClient, ingester: FakeIngester, documents: list[dict[str, str]]
) -> None:
    assert client.post("/documents", json={"documents": documents}).status_code == 422
    assert ingester.taken == []


def test_documents_that_cannot_be_embedded_are_to_be_sent_again(
    client: TestClient, ingester: FakeIngester
) -> None:
    ingester.outcome = Refusal(503, "the embeddings do not answer", retry_after=2, not_applied=True)
    answer = client.post("/documents", json={"documents": [{"id": "d1", "content": "one"}]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_metrics_count_routes_degradations_and_breakers(client: TestClient) -> None:
    client.post("/chat", json=BODY)
    client.get("/session/secret-name")
    text = client.get("/metrics").text
    assert 'app_requests_total{route="/chat",status="200"} 1.0' in text
    assert 'app_degradations_total{mode="no-cache"} 1.0' in text
    assert 'app_breaker_state{dependency="llm-primary"} 0.0' in text
    assert 'route="/session/{session}"' in text
    assert "secret-name" not in text


def test_logs_hold_no_token(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="sut"), caplog.at_level(logging.INFO, logger="service.access"):
        client.post("/chat", json=BODY)
    text = " ".join(
        str(vars(record)) for record in caplog.records if record.name.startswith(("sut", "service"))
    )
    assert "/chat" in text
    assert str(client.headers["Authorization"]) not in text
