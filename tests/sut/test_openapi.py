"""The service does what its OpenAPI document says, whatever it is sent."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.core.result import Ok

from sut.app.service import jobs_api
from sut.app.service.api import Parts, make_app, users
from sut.app.service.config import Settings
from sut.app.service.database import make_pool
from sut.app.service.errors import Refusal
from sut.app.service.health import Dependency
from sut.app.service.jobs import Decision, Jobs, NewJob
from sut.app.service.metrics import Metrics
from sut.app.service.readiness import Readiness
from sut.app.service.state import LISTED
from sut.load import token

from .fakes import FakeIngester, FakeRunner, NoEmbedder
from .test_api import good

SECRET = "a secret of at least thirty-two bytes"


class FakeJobs(Jobs):
    """Accepts everything, knows no job, and every session's are under way."""

    async def accept(self, job: NewJob) -> dict[str, Any]:
        return {"id": job.id, "status": "queued"}

    async def read(self, id: str, subject: str) -> dict[str, Any]:
        raise Refusal(404, "no such job")

    async def of_session(
        self, session: str, subject: str, settle: float, limit: int = LISTED
    ) -> dict[str, Any]:
        raise Refusal(409, "jobs of this session are still under way", retry_after=1)

    async def resume(self, id: str, subject: str, key: str, decision: Decision) -> dict[str, Any]:
        raise Refusal(404, "no such job")


def _app() -> Any:
    metrics = Metrics()
    app = make_app(metrics, interface=(users, jobs_api.routes))
    pool = make_pool("postgresql://nowhere/", name="unused", size=1, check_timeout=1)
    readiness = Readiness(pool, NoEmbedder())
    readiness.reason = None
    dependencies = {"postgres": Dependency(good, vital=True)}
    settings = Settings(jwt_secret=SECRET)
    app.state.parts = Parts(settings, metrics, FakeRunner(), readiness, dependencies, FakeIngester())
    app.state.jobs = FakeJobs(pool, deadline=4.0)
    return app


APP = _app()
schema = schemathesis.openapi.from_asgi("/openapi.json", APP)
BEARER = {"Authorization": f"Bearer {token('ann', 3600, SECRET)}"}
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


# An operation that Schemathesis cannot make sense of is missing here, and fails the test of what is tried.
FOUND = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
OPERATIONS = {operation.label: operation for operation in FOUND}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("label", OPERATIONS)
def test_the_service_keeps_to_its_document(label: str) -> None:
    @settings(
        max_examples=25,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy())
    def keeps(case: Any) -> None:
        case.call_and_validate(headers=BEARER, checks=CHECKS)

    keeps()


def test_every_route_is_among_those_that_are_tried() -> None:
    paths = APP.openapi()["paths"]
    wanted = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(OPERATIONS) == wanted
    assert {"POST /chat", "POST /documents", "POST /jobs/{job}/resume"} <= wanted


def test_the_document_says_where_a_token_is_needed() -> None:
    paths = APP.openapi()["paths"]
    guarded = {path for path, methods in paths.items() for told in methods.values() if told.get("security")}
    assert guarded == {path for path in paths if not path.startswith(("/health", "/metrics"))}
