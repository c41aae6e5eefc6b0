"""The API's description says what the server does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aatm_onnx.serve.fields import read_object
from aatm_onnx.serve.handlers import Handlers
from aatm_onnx.serve.pages import Pages
from aatm_onnx.serve.service import Service
from aatm_onnx.serve.settings import Settings

from .serving import Running, serving

DEPLOY = Path(__file__).parent.parent / "deploy"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def api(server: Running) -> Any:
    return server.client.get("/openapi.json").json()


def test_every_route_is_described_and_every_description_has_a_route(api: Any) -> None:
    handlers = Handlers(Service(Settings()))
    routes = [*handlers.scoring_routes(), *handlers.other_routes(), *Pages().routes()]
    served = {
        (route.path.replace(":path", ""), method)
        for route in routes
        for method in (route.methods or {"POST"}) - {"HEAD"}
        if not route.path.startswith("/page/") and route.path != "/favicon.ico"
    }
    described = {(path, method.upper()) for path, methods in api["paths"].items() for method in methods}
    assert served == described


def test_every_example_is_answered_as_described(api: Any, server: Running) -> None:
    answered = 0
    for path, methods in api["paths"].items():
        for media, body in methods.get("post", {}).get("requestBody", {}).get("content", {}).items():
            for example in body["examples"].values():
                value = example["value"]
                content = value if isinstance(value, str) else json.dumps(value)
                answer = server.client.post(path, content=content, headers={"content-type": media})
                assert (answer.status_code, answer.headers["content-type"]) == (200, media), (path, example)
                answered += 1
    assert answered > 12


def test_every_described_field_is_read(api: Any, server: Running) -> None:
    """A wrong type for a field that is not read would be let through."""
    wrong: dict[str, Any] = {"string": 5, "integer": "x", "boolean": "maybe", "array": 5, "number": "x"}
    for path, name in (("/v1/rerank", "RerankRequest"), ("/rerank", "TEIRerankRequest"), ("/score", "ScoreRequest")):
        schema = api["components"]["schemas"][name]
        samples = {"query": "a", "documents": ["b"], "texts": ["b"], "text_1": "a", "text_2": "b"}
        good = {field: samples[field] for field in schema["required"]}
        assert server.client.post(path, json=good).status_code == 200
        for field, described in schema["properties"].items():
            kind = described.get("type", "array")
            value = wrong[kind if isinstance(kind, str) else kind[0]]
            assert server.client.post(path, json={**good, field: value}).status_code == 422, (path, field)


def test_pages_load_nothing_from_elsewhere(server: Running) -> None:
    for path in ("/", "/docs"):
        page = server.client.get(path)
        assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "https://" not in page.text
        assert "http://" not in page.text
        assert "onclick" not in page.text
    assert server.client.get("/page/main.js").headers["content-type"].startswith("text/javascript")
    assert read_object(server.client.get("/openapi.json").content)["openapi"] == "3.1.0"


def test_dashboard_and_alerts_ask_for_metrics_that_exist(server: Running) -> None:
    server.client.post("/rerank", json={"query": "a", "documents": ["b"]})
    served = server.client.get("/metrics").text
    for file in ("grafana/aatm-onnx.json", "prometheus/alerts.yml"):
        named = set(re.findall(r"\b(?:aatm|process)_\w+", (DEPLOY / file).read_text("utf-8")))
        assert len(named) > 4
        assert not [name for name in named if name not in served and name != "aatm_onnx"]


def test_dashboard_and_alerts_see_every_path_that_scores(api: Any) -> None:
    scoring = {path for path, methods in api["paths"].items() if "post" in methods and "rank" in path} - {
        "/v1/rerank/batch"  # a stream lasts as long as its client wants
    }
    assert {"/rerank", "/v1/reranking"} <= scoring
    for file in ("grafana/aatm-onnx.json", "prometheus/alerts.yml"):
        patterns = re.findall(
            r'aatm_request_seconds_bucket\{endpoint=~\\?"(.*?)\\?"', (DEPLOY / file).read_text("utf-8")
        )
        assert patterns
        for pattern in patterns:
            assert not [path for path in scoring if not re.fullmatch(pattern, path)]
