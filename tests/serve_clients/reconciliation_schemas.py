"""The reconciliation API 0.2's answers as JSON schemas, in our words; each is named after the specification's own.

The specification's files (reconciliation-api/specs, 0.2/schemas) are in no package, so they are not here. These say the
same of what a service sends, and are stricter where this service always sends a field.
"""

from typing import Any

_TEXT = {"type": "string"}
_NAMED = {"type": "object", "required": ["id", "name"], "properties": {"id": _TEXT, "name": _TEXT}}
_TYPE = {**_NAMED, "properties": {**_NAMED["properties"], "description": _TEXT, "broader": {"type": "array"}}}  # type: ignore[dict-item]
_ENDPOINT = {
    "type": "object",
    "required": ["service_url", "service_path"],
    "properties": {"service_url": {"type": "string", "pattern": "^https?://"}, "service_path": _TEXT},
}
_CANDIDATE = {
    "type": "object",
    "required": ["id", "name", "score", "match", "type"],
    "properties": {
        "id": _TEXT,
        "name": _TEXT,
        "description": _TEXT,
        "score": {"type": "number", "minimum": 0, "maximum": 100},
        "match": {"type": "boolean"},
        "type": {"type": "array", "items": _NAMED},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "value"],
                "properties": {"id": _TEXT, "value": {"type": ["number", "boolean"]}},
            },
        },
    },
    "additionalProperties": False,
}
_VALUE = {  # of a concept's column: a text, or an entity
    "type": "object",
    "minProperties": 1,
    "oneOf": [{"required": ["str"]}, {"required": ["id", "name"]}],
    "properties": {"str": _TEXT, "id": _TEXT, "name": _TEXT},
    "additionalProperties": False,
}


def _list_of(item: dict[str, Any], name: str = "result") -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": item}}}


SCHEMAS: dict[str, dict[str, Any]] = {
    "manifest": {
        "type": "object",
        "required": ["versions", "name", "identifierSpace", "schemaSpace"],
        "properties": {
            "versions": {"type": "array", "items": _TEXT, "contains": {"const": "0.2"}},
            **dict.fromkeys(("name", "identifierSpace", "schemaSpace", "serviceVersion", "documentation"), _TEXT),
            "defaultTypes": {"type": "array", "items": _TYPE, "uniqueItems": True},
            "preview": {
                "type": "object",
                "required": ["url", "width", "height"],
                "properties": {
                    "url": {"type": "string", "pattern": r"\{\{id\}\}"},
                    "width": {"type": "integer"},
                    "height": {"type": "integer"},
                },
            },
            "suggest": {"type": "object", "properties": dict.fromkeys(("entity", "type", "property"), _ENDPOINT)},
            "extend": {
                "type": "object",
                "properties": {"propose_properties": _ENDPOINT, "property_settings": {"type": "array"}},
            },
        },
    },
    "reconciliation-result-batch": {
        "type": "object",
        "additionalProperties": _list_of(_CANDIDATE),
    },
    "suggest-entities-response": _list_of(
        {**_NAMED, "properties": {"id": _TEXT, "name": _TEXT, "description": _TEXT, "notable": {"type": "array"}}}
    ),
    "suggest-types-response": _list_of(_TYPE),
    "suggest-properties-response": _list_of(_NAMED),
    "data-extension-property-proposal": _list_of(_NAMED, "properties"),
    "data-extension-response": {
        "type": "object",
        "required": ["rows", "meta"],
        "properties": {
            "meta": {"type": "array", "items": _NAMED},
            "rows": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": _VALUE},
                },
            },
        },
    },
}
