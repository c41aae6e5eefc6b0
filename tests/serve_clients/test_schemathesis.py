"""Requests made from openapi.json, right and wrong: never a 500, never an answer that is not described."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from ..serving import Running
from .conftest import KEY

_DESCRIBED = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def _lines(context: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


# Not by schemathesis' own marks, which pytest 9 does not take.
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_described(server: Running, mode: GenerationMode) -> None:
    api = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    asked = 0
    for found in api.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue  # nothing in it can be wrong

        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        @hypothesis.settings(max_examples=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            # that both sides of /score are as long, a schema can not say
            positive = mode is GenerationMode.POSITIVE and not case.path.endswith("score")
            wanted = [checks.positive_data_acceptance] if positive else []
            headers = {"authorization": f"Bearer {KEY}"}
            case.call_and_validate(headers=headers, checks=[*_DESCRIBED, *wanted], timeout=30)

        ask()
    assert asked > 200
    assert server.client.get("/ready").status_code == 200
    assert server.service.admission.requests == 0
