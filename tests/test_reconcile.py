"""A vocabulary behind the server: the OpenRefine reconciliation API 0.2, and the page's search.

The shapes are those of the specification's JSON schemas (reconciliation-api/specs, 0.2/schemas), written down here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aatm_onnx.serve.lookup import Lookup
from aatm_onnx.serve.reconcile import Reconciliation
from aatm_onnx.serve.settings import Settings
from aatm_onnx.vocabulary import Damage, build_vocabulary, read_sources

from .serving import Running, serving
from .test_vocabulary import ATHENA


@pytest.fixture(scope="module")
def lookup(tmp_path_factory: pytest.TempPathFactory) -> Lookup:
    folder: Path = tmp_path_factory.mktemp("index") / "vocabulary"
    return Lookup(build_vocabulary(read_sources(ATHENA, Damage()), folder))


@pytest.fixture(scope="module")
def server(lookup: Lookup) -> Iterator[Running]:
    with serving(routes=[*lookup.routes(), *Reconciliation(lookup).routes()]) as running:
        yield running


def reconcile(server: Running, queries: Any) -> Any:
    """As OpenRefine posts a batch."""
    answer = server.client.post("/reconcile", data={"queries": json.dumps(queries)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def check_candidate(candidate: dict[str, Any]) -> None:
    """reconciliation-result-batch.json."""
    assert {"id", "name", "score"} <= set(candidate)
    assert all(isinstance(candidate[name], str) for name in ("id", "name", "description"))
    assert isinstance(candidate["score"], float)
    assert 0 <= candidate["score"] <= 100
    assert isinstance(candidate["match"], bool)
    assert all(set(each) == {"id", "name"} for each in candidate["type"])
    assert all(isinstance(each["value"], float) for each in candidate["features"])


def test_the_manifest_says_where_everything_is(server: Running) -> None:
    manifest = server.client.get("/reconcile").json()
    assert manifest["versions"] == ["0.2"]
    assert {"name", "identifierSpace", "schemaSpace"} <= set(manifest)
    assert {"id": "domain:Condition", "name": "Condition (domain)"} in manifest["defaultTypes"]
    assert "{{id}}" in manifest["preview"]["url"]
    preview = server.client.get(manifest["preview"]["url"].replace("{{id}}", "2000000787"))
    assert "<b>Nephrolithiasis</b> 2000000787" in preview.text
    for each in (*manifest["suggest"].values(), manifest["extend"]["propose_properties"]):
        answer = server.client.get(each["service_url"] + each["service_path"], params={"prefix": "kidney"})
        assert answer.status_code == 200


def test_a_batch_is_answered_query_by_query(server: Running) -> None:
    answer = reconcile(
        server,
        {
            "q0": {"query": "kidney stones", "limit": 3},
            "q1": {"query": "high blood pressure", "type": "domain:Condition", "type_strict": "should", "limit": 5},
            "q2": {"query": "?"},
        },
    )
    assert set(answer) == {"q0", "q1", "q2"}
    assert answer["q2"] == {"result": []}
    for name, most in (("q0", 3), ("q1", 5)):
        results = answer[name]["result"]
        assert 0 < len(results) <= most
        for candidate in results:
            check_candidate(candidate)
        scores = [candidate["score"] for candidate in results]
        assert scores == sorted(scores, reverse=True)
        assert sum(candidate["match"] for candidate in results) <= 1
    first = answer["q0"]["result"][0]
    assert (first["id"], first["name"], first["match"]) == ("2000000787", "Nephrolithiasis", True)


def test_types_and_properties_restrict(server: Running) -> None:
    queries = {
        "standard": {"query": "calculus of kidney"},
        "type": {"query": "calculus of kidney", "type": ["vocabulary:HPO"]},
        "property": {"query": "clean", "properties": [{"pid": "domain", "v": "Condition"}, {"pid": "other", "v": 3}]},
    }
    for results in reconcile(server, queries).values():
        assert {each["id"] for found in results["result"] for each in found["type"]} == {
            *("vocabulary:HPO", "domain:Condition"),
        }


def test_extend_gives_concept_columns(server: Running) -> None:
    asked = {
        "ids": ["2000000787", "77"],
        "properties": [{"id": "code"}, {"id": "domain", "settings": {}}, {"id": "no"}],
    }
    answer = server.client.post("/reconcile", data={"extend": json.dumps(asked)}).json()
    assert answer["meta"] == [{"id": "code", "name": "Concept code"}, {"id": "domain", "name": "Domain"}]
    assert answer["rows"] == {
        "2000000787": {"code": [{"str": "HP:0000787"}], "domain": [{"str": "Condition"}]},
        "77": {"code": [], "domain": []},
    }


def test_suggest(server: Running) -> None:
    entities = server.client.get("/reconcile/suggest/entity", params={"prefix": "nephrolith"}).json()["result"]
    assert entities[0]["name"] == "Nephrolithiasis"
    types = server.client.get("/reconcile/suggest/type", params={"prefix": "hp"}).json()["result"]
    assert types == [{"id": "vocabulary:HPO", "name": "HPO (vocabulary)"}]
    assert server.client.get("/reconcile/suggest/property", params={"prefix": "cod"}).json() == {
        "result": [{"id": "code", "name": "Concept code"}]
    }


def test_openrefine_may_ask_from_this_machine_and_other_pages_may_not(server: Running) -> None:
    for origin, allowed in (
        ("http://127.0.0.1:3333", True),
        ("http://localhost:3333", True),
        ("https://example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("null", False),
    ):
        answer = server.client.get("/reconcile", headers={"origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) == allowed


@pytest.mark.parametrize(
    ("form", "status", "message"),
    [
        ({"queries": "["}, 400, "queries is not a JSON object"),
        ({"queries": '{"q0": {"query": 3}}'}, 422, "The query 'q0' must be an object"),
        ({"queries": '{"q0": {"type": "x"}}'}, 422, 'must have "query" or "properties"'),
        ({"queries": '{"q0": {"query": "a", "limit": "many"}}'}, 422, "limit must be a whole number"),
        ({"queries": json.dumps({"q": {"query": "a" * 2000}})}, 422, "more than 1000 characters"),
        ({"queries": json.dumps({str(i): {"query": "a"} for i in range(101)})}, 422, "more than 100 queries"),
        ({"queries": '{"q0": {"query": "a", "type": 3, "properties": 4}}'}, 422, "type and properties"),
        ({"extend": "{}"}, 422, "extend must have the lists"),
        ({"other": "x"}, 400, "neither queries nor extend"),
    ],
)
def test_what_can_not_be_answered_is_refused(server: Running, form: dict[str, str], status: int, message: str) -> None:
    answer = server.client.post("/reconcile", data=form)
    assert answer.status_code == status
    assert message in answer.json()["message"]


def test_a_preview_shows_names_as_text(server: Running) -> None:
    page = server.client.get("/reconcile/preview", params={"id": "2002000000"}).text
    assert "Observation of 5&quot; incision, &quot;clean&quot;" in page
    assert server.client.get("/reconcile/preview", params={"id": "<b>"}).status_code == 404


def test_search_for_the_page(server: Running) -> None:
    answer = server.client.get("/search", params={"q": "kidney stones", "limit": 2, "vocabulary": "HPO"}).json()
    assert answer["concepts"] == 453
    assert answer["results"][0]["name"] == "Nephrolithiasis"
    assert answer["results"][0]["matched_name"] == "Kidney stones"
    assert server.client.get("/search", params={"q": " "}).json()["results"] == []
    refused = server.client.get("/search", params={"q": "a", "vocabulary": "SNOMED"})
    assert (refused.status_code, "no vocabulary 'SNOMED'" in refused.json()["message"]) == (422, True)


def test_keys_protect_it(lookup: Lookup) -> None:
    routes = [*lookup.routes(), *Reconciliation(lookup).routes()]
    with serving(settings=Settings(api_keys=("secret",)), routes=routes) as running:
        assert running.client.get("/search?q=a").status_code == 401
        assert running.client.get("/reconcile", headers={"x-api-key": "secret"}).status_code == 200
