"""No log holds what users and models say: over the real runner and the real worker, wherever they fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import psycopg
import pytest
from fastapi.testclient import TestClient

from sut.app.service.api import Parts, make_app
from sut.app.service.approval import Approvals
from sut.app.service.config import Settings
from sut.app.service.content import Unreadable
from sut.app.service.database import make_pool
from sut.app.service.errors import Broken
from sut.app.service.logs import JsonFormatter
from sut.app.service.metrics import Metrics
from sut.app.service.readiness import Readiness
from sut.app.service.work import Jobwork
from sut.load import token

from .fakes import FakeIngester, FakeModel, Hook, NoEmbedder, models, nothing
from .queuefakes import FakeLeases, FakeStream, claim
from .test_api import SECRET
from .test_runner import Database, make
from .test_work import NoApprovals
from .test_worker import HINT
from .test_worker import make as make_worker

ASKED, SAID = "my-private-words", "what-the-model-said"
#: Raised with the user's words: those of a database and of a parser name what they choke on.
TROUBLES: list[type[Exception]] = [Broken, psycopg.DataError, Unreadable, ValueError]


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(monkeypatch)


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Every line that a process would write which logs all there is."""
    caplog.set_level(logging.DEBUG)
    lines = JsonFormatter("app-1")
    return lambda: "\n".join(lines.format(record) for record in caplog.records)


def raising(trouble: type[Exception] | None) -> Hook:
    async def fail() -> None:
        if trouble is not None:
            raise trouble(ASKED)

    return fail


def post(database: Database, path: str, models_fail: type[Exception] | None = None) -> int:
    """Say ASKED to a replica whose models say SAID, or fail; the status."""
    metrics, settings = Metrics(), Settings(node="app-1", zone="a", jwt_secret=SECRET)
    primary, fallback = (FakeModel(text=f"{SAID} twice", before=raising(models_fail)) for _ in range(2))
    if models_fail is not None:
        for each in (primary, fallback):
            # In a stream, after a word of the answer.
            each.fail_after, each.error = 1, models_fail(ASKED)
    runner = replace(make(database), models=models(primary, fallback))
    pool = make_pool("postgresql://nowhere/", name="unused", size=1, check_timeout=1)
    app = make_app(metrics)
    app.state.parts = Parts(settings, metrics, runner, Readiness(pool, NoEmbedder()), {}, FakeIngester())
    headers = {"Authorization": f"Bearer {token('ann', 60, SECRET)}", "Idempotency-Key": "k1"}
    with TestClient(app, raise_server_exceptions=False) as client:
        return client.post(path, json={"session": "s1", "message": ASKED}, headers=headers).status_code


def assert_private(text: str) -> None:
    assert ASKED not in text
    assert SAID not in text


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
@pytest.mark.parametrize("point", ["before_admit", "after_store"])
@pytest.mark.parametrize("trouble", [None, *TROUBLES])
def test_a_turn_is_logged_without_its_words(
    database: Database, written: Callable[[], str], trouble: type[Exception] | None, point: str, path: str
) -> None:
    setattr(database, point, raising(trouble))
    status = post(database, path)
    assert status == 200 or trouble is not None
    assert f'"route": "{path}"' in written()
    assert_private(written())


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
@pytest.mark.parametrize("error", [ConnectionResetError, ValueError])
def test_a_turn_whose_models_fail_is_logged_without_their_words(
    database: Database, written: Callable[[], str], error: type[Exception], path: str
) -> None:
    post(database, path, models_fail=error)
    assert "model failed" in written()
    assert_private(written())


@pytest.mark.parametrize("kind", ["chat", "summary"])
@pytest.mark.parametrize("point", ["models", "after_store", "result"])
@pytest.mark.parametrize("trouble", [None, *TROUBLES])
def test_a_job_is_logged_without_its_words(
    database: Database, written: Callable[[], str], trouble: type[Exception] | None, point: str, kind: str
) -> None:
    def model(name: str) -> FakeModel:
        return FakeModel(name, text=SAID, before=raising(trouble) if point == "models" else nothing)

    asking = models(model("model-1"), model("model-2"))
    if point == "after_store":
        database.after_store = raising(trouble)
    leases = FakeLeases(claimed=claim(kind=kind, input=ASKED))
    if point == "result" and trouble is not None and issubclass(trouble, Broken | psycopg.Error):
        leases.broken = [trouble(ASKED)]
    work = Jobwork(replace(make(database), models=asking), asking, cast(Approvals, NoApprovals()))
    asyncio.run(make_worker(leases, FakeStream(), work).follow(HINT))
    assert leases.written
    assert_private(written())
