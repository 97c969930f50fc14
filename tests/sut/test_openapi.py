"""The service does what its OpenAPI document says, whatever it is sent."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.core.result import Ok

from sut.app.service.api import Parts, make_app
from sut.app.service.config import Settings
from sut.app.service.database import make_pool
from sut.app.service.health import Dependency
from sut.app.service.metrics import Metrics
from sut.app.service.readiness import Readiness
from sut.load import token

from .fakes import FakeRunner
from .test_api import NoEmbedder, good

SECRET = "a secret of at least thirty-two bytes"


def _app() -> Any:
    metrics = Metrics()
    app = make_app(metrics)
    pool = make_pool("postgresql://nowhere/", name="unused", size=1, check_timeout=1)
    readiness = Readiness(pool, NoEmbedder())
    readiness.reason = None
    dependencies = {"postgres": Dependency(good, vital=True)}
    app.state.parts = Parts(Settings(jwt_secret=SECRET), metrics, FakeRunner(), readiness, dependencies)
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
    assert "POST /chat" in wanted


def test_the_document_says_where_a_token_is_needed() -> None:
    paths = APP.openapi()["paths"]
    guarded = {path for path, methods in paths.items() for told in methods.values() if told.get("security")}
    assert guarded == {path for path in paths if not path.startswith(("/health", "/metrics"))}
