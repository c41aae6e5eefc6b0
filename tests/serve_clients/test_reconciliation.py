"""Every request of the reconciliation API 0.2, each answer against its schema.

RECONCILIATION_SCHEMAS may name a folder with the specification's own files (reconciliation-api/specs, 0.2/schemas); the
answers are then checked against these as well.
"""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from ..serving import Running
from .reconciliation_schemas import SCHEMAS

OWN = os.environ.get("RECONCILIATION_SCHEMAS")


def check(kind: str, answer: Any) -> None:
    jsonschema.validate(answer, SCHEMAS[kind])
    if OWN:
        files = {path.stem: json.loads(path.read_text("utf-8")) for path in Path(OWN).glob("*.json")}
        registry: Registry = Registry().with_resources(
            (schema["$id"], Resource.from_contents({**schema, "$schema": "http://json-schema.org/draft-07/schema#"}))
            for schema in files.values()
        )
        jsonschema.Draft7Validator(files[kind], registry=registry).validate(answer)


def post(server: Running, name: str, value: Any) -> Any:
    """As the protocol has it: a form with one field of JSON."""
    answer = server.client.post("/reconcile", data={name: json.dumps(value)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def get(server: Running, path: str, **asked: str) -> Any:
    answer = server.client.get(f"/reconcile{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_schemas_refuse_what_the_protocol_forbids() -> None:
    for kind, wrong in (
        ("manifest", {"versions": ["0.1"], "name": "a", "identifierSpace": "b", "schemaSpace": "c"}),
        ("reconciliation-result-batch", {"q0": [{"id": "1"}]}),
        ("reconciliation-result-batch", {"q0": {"result": [{"id": "1", "name": "a"}]}}),
        ("data-extension-response", {"meta": [], "rows": {"1": {"code": [{"text": "a"}]}}}),
        ("suggest-types-response", {"result": [{"id": "1"}]}),
    ):
        with pytest.raises(jsonschema.ValidationError):
            check(kind, wrong)


def test_the_manifest(vocabulary_server: Running) -> None:
    check("manifest", get(vocabulary_server, ""))


# The forms that the specification's examples of reconciliation-query-batch have.
QUERIES = {
    "a text alone": ({"query": "kidney stones"}, "Nephrolithiasis"),
    "all fields": (
        {
            "query": "high blood pressure",
            "type": "domain:Condition",
            "type_strict": "should",
            "limit": 3,
            "properties": [{"pid": "vocabulary", "v": "HPO"}, {"pid": "professionOrOccupation", "v": 7}],
        },
        "Hypertension",
    ),
    "several types": ({"query": "renal cyst", "type": ["domain:Condition", "vocabulary:HPO"]}, "Renal cyst"),
    "values that are entities": (
        {"query": "renal cyst", "properties": [{"pid": "domain", "v": ["x", {"id": "Condition", "name": "x"}]}]},
        "Renal cyst",
    ),
    "properties without a text": ({"properties": [{"pid": "name", "v": "Renal cyst"}]}, "Renal cyst"),
    "properties that say nothing": ({"properties": [{"pid": "uid", "v": "27eb892afbb2"}]}, None),
    "nothing is found": ({"query": "?"}, None),
}


def test_a_batch_of_every_form(vocabulary_server: Running) -> None:
    answers = post(vocabulary_server, "queries", {name: query for name, (query, _) in QUERIES.items()})
    check("reconciliation-result-batch", answers)
    assert list(answers) == list(QUERIES)
    first = {name: [each["name"] for each in answer["result"]][:1] for name, answer in answers.items()}
    assert first == {name: [wanted] if wanted else [] for name, (_, wanted) in QUERIES.items()}


def test_a_batch_may_be_asked_for_in_the_address(vocabulary_server: Running) -> None:
    answers = get(vocabulary_server, "", queries=json.dumps({"q": {"query": "renal cyst"}}))
    check("reconciliation-result-batch", answers)
    assert answers["q"]["result"][0]["name"] == "Renal cyst"


def test_data_extension(vocabulary_server: Running) -> None:
    proposed = get(vocabulary_server, "/properties", type="vocabulary:HPO", limit="5")
    check("data-extension-property-proposal", proposed)
    asked = {"ids": ["2000000787", "no-such-id"], "properties": [{"id": each["id"]} for each in proposed["properties"]]}
    asked["properties"][0]["settings"] = {"limit": "5", "content": "id"}
    answer = post(vocabulary_server, "extend", asked)
    check("data-extension-response", answer)
    assert answer["rows"]["2000000787"]["code"] == [{"str": "HP:0000787"}]
    assert set(answer["rows"]["no-such-id"]) == {each["id"] for each in proposed["properties"]}


@pytest.mark.parametrize(("what", "kind"), [("entity", "entities"), ("type", "types"), ("property", "properties")])
def test_suggest(vocabulary_server: Running, what: str, kind: str) -> None:
    for asked in ({"prefix": "co"}, {"prefix": "co", "cursor": "1"}, {}):
        answer = get(vocabulary_server, f"/suggest/{what}", **asked)
        check(f"suggest-{kind}-response", answer)
    assert get(vocabulary_server, f"/suggest/{what}", prefix={"entity": "renal"}.get(what, "co"))["result"]
