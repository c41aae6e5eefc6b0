"""The JSON schema of bundle.json: `python docs/bundle_schema.py > docs/reference/bundle.schema.json`."""

import json
import re
from dataclasses import MISSING, fields, is_dataclass
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from aatm_onnx.bundle import FORMAT_VERSION, Manifest

PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
DESCRIPTIONS = {
    "source": "Where the weights came from.",
    "config": "The sizes of the model.",
    "graph": "Which ONNX graph this is, and what was measured on it.",
    "prompt": "The words around every pair.",
    "yes_token_id": "The token of the answer yes.",
    "no_token_id": "The token of the answer no.",
    "pad_token_id": "The token that fills a batch. It is masked.",
    "max_length": "The most tokens of a prompt, prefix and suffix included.",
    "files": "Size and hash of every file of the bundle but bundle.json, by its path in the folder.",
    "tools": "Name and version of what made the bundle.",
    "format_version": "The format that this is.",
}


def bundle_schema() -> dict[str, Any]:
    """The schema of bundle.json."""
    schema = _schema_of(Manifest)
    for name, text in DESCRIPTIONS.items():
        schema["properties"][name] = {"description": text} | schema["properties"][name]
    schema["properties"]["format_version"] = {"description": DESCRIPTIONS["format_version"], "const": FORMAT_VERSION}
    schema["properties"]["seal"] = {
        "description": "sha256 (hex) of all else in this file, as JSON with sorted keys, no spaces and ASCII only.",
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
    }
    schema["required"] += ["format_version", "seal"]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "aatm-onnx bundle, format 2"}
    return head | schema


def _schema_of(kind: Any) -> dict[str, Any]:
    arguments = get_args(kind)
    if isinstance(kind, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return {"anyOf": [_schema_of(inner), {"type": "null"}]}
    if get_origin(kind) is list:
        return {"type": "array", "items": _schema_of(arguments[0])}
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1])}
    if not is_dataclass(kind):
        return {"type": PLAIN[kind]}
    hints, texts = get_type_hints(kind), _attributes(kind.__doc__ or "")
    properties = {}
    for field in fields(kind):
        text = {"description": texts[field.name]} if field.name in texts else {}
        properties[field.name] = text | _schema_of(hints[field.name])
    required = [
        field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING
    ]  # a newer tool may add fields, which an older one leaves out
    return {"type": "object", "properties": properties, "required": required}


def _attributes(docstring: str) -> dict[str, str]:
    """The `Attributes:` section of a docstring, by name."""
    section = cleandoc(docstring).partition("Attributes:\n")[2]  # Python dedents docstrings itself from 3.13 on
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


if __name__ == "__main__":
    print(json.dumps(bundle_schema(), indent=2, ensure_ascii=False))
