"""The JSON schema of bundle.json is that of the dataclasses, and bundles are what it says."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aatm_onnx.bundle import MANIFEST_FILE, Fidelity, open_bundle
from aatm_onnx.models import find_bundle

DOCS = Path(__file__).parent.parent / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "reference" / "bundle.schema.json").read_text("utf-8"))
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}


def faults(schema: dict[str, Any], value: Any, where: str = "bundle") -> list[str]:
    """What a value has that its schema does not allow: the part of JSON schema that bundles use."""
    if "anyOf" in schema:
        return [] if any(not faults(each, value) for each in schema["anyOf"]) else [where]
    if "const" in schema:
        return [] if value == schema["const"] else [where]
    if schema["type"] == "boolean":
        return [] if isinstance(value, bool) else [where]
    if not isinstance(value, TYPES[schema["type"]]) or isinstance(value, bool):
        return [where]
    if isinstance(value, list):
        return [fault for item in value for fault in faults(schema["items"], item, f"{where}[]")]
    if not isinstance(value, dict):
        return []
    found = [f"{where}.{name}" for name in schema.get("required", []) if name not in value]
    for name, item in value.items():
        inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
        found += faults(inner, item, f"{where}.{name}") if inner else []
    return found


def test_the_schema_is_that_of_the_dataclasses() -> None:
    """`python docs/bundle_schema.py > docs/reference/bundle.schema.json` writes it again."""
    assert json.loads(subprocess.check_output([sys.executable, DOCS / "bundle_schema.py"], text=True)) == SCHEMA


def test_bundles_are_what_the_schema_says() -> None:
    bundle = open_bundle(find_bundle(None))
    assert faults(SCHEMA, json.loads((bundle.path / MANIFEST_FILE).read_text("utf-8"))) == []
    fidelity = Fidelity(0.98, 0.001, 0.02, 12, 240, [1], ["smoothing"])
    quantized = replace(bundle.manifest, graph=replace(bundle.manifest.graph, fidelity=fidelity))
    assert faults(SCHEMA, json.loads(quantized.to_json())) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format_version"], 1),
        (["graph", "tolerance"], "small"),
        (["graph", "fidelity"], {"tau": 0.9}),
        (["prompt", "prefix_ids"], [1, "2"]),
        (["files", "model.onnx", "size"], True),
        (["config", "tie_word_embeddings"], 1),
    ],
    ids=str,
)
def test_what_is_not_a_bundle_is_not_what_the_schema_says(path: list[str], value: Any) -> None:
    content = json.loads((open_bundle(find_bundle(None)).path / MANIFEST_FILE).read_text("utf-8"))
    inner = content
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    assert faults(SCHEMA, content) == [".".join(["bundle", *path]) + ("[]" if path[-1] == "prefix_ids" else "")]
