"""Requests made from openapi.json, right and wrong: never a 500, never an answer that is not described."""

from typing import Any

import pytest

from ..serving import Running
from .conftest import KEY

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")


@pytest.fixture(scope="module")
def api(server: Running) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@hypothesis.settings(max_examples=60, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_every_answer_is_described(case: Any) -> None:
    case.call_and_validate(
        headers={"authorization": f"Bearer {KEY}"},
        checks=[
            schemathesis.checks.not_a_server_error,
            schemathesis.checks.load_all_checks and schemathesis.specs.openapi.checks.status_code_conformance,
            schemathesis.specs.openapi.checks.content_type_conformance,
            schemathesis.specs.openapi.checks.response_schema_conformance,
        ],
    )
