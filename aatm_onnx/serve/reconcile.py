"""The OpenRefine reconciliation API 0.2 over a vocabulary (reconciliation-api.github.io/specs/0.2).

Types are vocabularies and domains. A candidate is a match that nobody need look at only if it alone has exactly the
name that was asked for.
"""

import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from .. import __version__
from ..vocabulary import Concept, Filters
from .answers import JsonAnswer
from .auth import is_loopback
from .errors import bad_request, invalid
from .lookup import Lookup, ScoredMatch, Wish, limit_of

PATH = "/reconcile"
_SPACE = "urn:aatm-onnx:vocabulary"
_MOST_QUERIES = 100
_PROPERTIES = {
    "code": "Concept code",
    "concept_class": "Concept class",
    "domain": "Domain",
    "name": "Concept name",
    "standard": "Standard concept",
    "vocabulary": "Vocabulary",
}
# What a query's type or property may restrict, and the filter that does it.
_FILTERS = {"vocabulary": "vocabularies", "domain": "domains", "concept_class": "classes"}
_TYPES = ("vocabulary", "domain")


class Reconciliation:
    """The protocol's routes."""

    def __init__(self, lookup: Lookup) -> None:
        """Take what answers queries."""
        self._lookup = lookup
        self._vocabulary = lookup.vocabulary
        self._types = [
            {"id": f"{column}:{value}", "name": f"{value} ({column})"}
            for column in _TYPES
            for value in sorted(filter(None, self._vocabulary.categories[column]))
        ]

    def routes(self) -> list[Route]:
        """Where each part is."""
        return [
            Route(PATH, self.service, methods=["GET", "POST"]),
            Route(f"{PATH}/preview", self.preview),
            Route(f"{PATH}/suggest/entity", self.suggest_entities),
            Route(f"{PATH}/suggest/type", self.suggest_types),
            Route(f"{PATH}/suggest/property", self.suggest_properties),
            Route(f"{PATH}/properties", self.propose_properties),
        ]

    async def service(self, request: Request) -> Response:
        """Manifest, batch of queries, or data extension: whatever the request's parameters ask for."""
        asked: Mapping[str, str] = request.query_params
        if request.method == "POST":
            body = (await request.app.state.service.bodies.whole(request)).decode("utf-8", "replace")
            try:
                asked = {name: values[0] for name, values in parse_qs(body, max_num_fields=10).items()}
            except ValueError:
                raise bad_request("The form has more fields than the protocol.") from None
        if "queries" in asked:
            return _answer(request, await self._reconcile(request, _object(asked["queries"], "queries")))
        if "extend" in asked:
            return _answer(request, self._extend(_object(asked["extend"], "extend")))
        if request.method == "POST":
            raise bad_request("The form has neither queries nor extend.")
        return _answer(request, self._manifest(str(request.url_for("service")).rstrip("/")))

    def _manifest(self, url: str) -> dict[str, Any]:
        def suggest(what: str) -> dict[str, str]:
            return {"service_url": url, "service_path": f"/suggest/{what}"}

        return {
            "versions": ["0.2"],
            "name": f"aatm-onnx: {', '.join(sorted(filter(None, self._vocabulary.categories['vocabulary']))[:3])}",
            "identifierSpace": _SPACE,
            "schemaSpace": f"{_SPACE}:types",
            "serviceVersion": __version__,
            "defaultTypes": self._types[:10],
            "preview": {"url": f"{url}/preview?id={{{{id}}}}", "width": 420, "height": 200},
            "suggest": {"entity": suggest("entity"), "type": suggest("type"), "property": suggest("property")},
            "extend": {
                "propose_properties": {"service_url": url, "service_path": "/properties"},
                "property_settings": [],
            },
        }

    async def _reconcile(self, request: Request, queries: dict[str, Any]) -> dict[str, Any]:
        if len(queries) > _MOST_QUERIES:
            raise invalid(f"A batch has more than {_MOST_QUERIES} queries.")
        wishes = [self._wish(name, query) for name, query in queries.items()]
        found = await self._lookup.find(request, wishes)
        return {name: {"result": _candidates(results)} for name, results in zip(queries, found, strict=True)}

    def _wish(self, name: str, query: Any) -> Wish:
        if not isinstance(query, dict) or not isinstance(query.get("query", ""), str):
            raise invalid(f'The query {name!r} must be an object with a string "query".')
        if "query" not in query and not query.get("properties"):
            raise invalid(f'The query {name!r} must have "query" or "properties".')
        restrictions = _restrictions(name, query.get("type") or [], query.get("properties") or [])
        allowed: dict[str, list[str]] = {}
        for column, value in restrictions:
            if column in _FILTERS and value in self._vocabulary.categories[column]:
                allowed.setdefault(_FILTERS[column], []).append(str(value))
        filters = self._lookup.filters(**{name: tuple(values) for name, values in allowed.items()})
        named = [value for column, value in restrictions if column == "name"]  # a query by properties has no text
        return Wish(query.get("query", named[0] if named else ""), limit_of(query.get("limit"), 5), filters)

    def _extend(self, asked: dict[str, Any]) -> dict[str, Any]:
        ids, properties = asked.get("ids"), asked.get("properties")
        if not isinstance(ids, list) or not isinstance(properties, list):
            raise invalid('extend must have the lists "ids" and "properties".')
        names = [
            name
            for name in _PROPERTIES
            if any(isinstance(each, dict) and each.get("id") == name for each in properties)
        ]
        rows = {}
        for each in ids:
            concept = self._vocabulary.concept(str(each))
            rows[str(each)] = {name: _values(concept, name) for name in names}
        return {"meta": [{"id": name, "name": _PROPERTIES[name]} for name in names], "rows": rows}

    async def preview(self, request: Request) -> Response:
        """A concept in a small page."""
        concept = self._vocabulary.concept(request.query_params.get("id", ""))
        if concept is None:
            return HTMLResponse("<!doctype html><p>There is no such concept.", 404)
        rows = "".join(
            f"<tr><th align=left>{escape(label)}<td>{escape(getattr(concept, name))}"
            for name, label in _PROPERTIES.items()
            if name != "name" and getattr(concept, name)
        )
        page = f"<!doctype html><meta charset=utf-8><title>{escape(concept.name)}</title>"
        style = "<style>body{font:14px/1.5 sans-serif;margin:8px}th{padding-right:1em}</style>"
        body = f"<b>{escape(concept.name)}</b> {escape(concept.id)}<table>{rows}</table>"
        return HTMLResponse(
            page + style + body, headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
        )

    async def suggest_entities(self, request: Request) -> Response:
        """Concepts for what somebody types: by similarity alone, which is fast enough for typing."""
        prefix = request.query_params.get("prefix", "")[:200]
        matches = self._vocabulary.search(prefix, 10, Filters(standard=self._vocabulary.has_standard_concepts))
        result = [
            {
                "id": match.concept.id,
                "name": match.concept.name,
                "description": _description(match.concept),
                "notable": _types_of(match.concept),
            }
            for match in matches
        ]
        return _answer(request, {"result": result})

    async def suggest_types(self, request: Request) -> Response:
        """Vocabularies and domains."""
        prefix = request.query_params.get("prefix", "").lower()
        return _answer(request, {"result": [each for each in self._types if prefix in each["name"].lower()][:20]})

    async def suggest_properties(self, request: Request) -> Response:
        """Columns of a concept."""
        prefix = request.query_params.get("prefix", "").lower()
        found = [{"id": name, "name": label} for name, label in _PROPERTIES.items() if prefix in label.lower()]
        return _answer(request, {"result": found})

    async def propose_properties(self, request: Request) -> Response:
        """What can be fetched of a concept: the same for every type."""
        properties = [{"id": name, "name": label} for name, label in _PROPERTIES.items()]
        wanted = request.query_params.get("type")
        return _answer(request, {"properties": properties, **({"type": wanted} if wanted else {})})


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise bad_request(f"{what} is not a JSON object.")
    return value


def _restrictions(name: str, wanted: Any, properties: Any) -> list[tuple[str, str]]:
    """(column, value) of a query's types and properties; a property's value may be an entity."""
    if not isinstance(wanted, str | list) or not isinstance(properties, list):
        raise invalid(f"type and properties of the query {name!r} must be lists.")
    types = [str(each).partition(":") for each in ([wanted] if isinstance(wanted, str) else wanted)]
    restrictions = [(column, value) for column, _, value in types]
    for each in properties:
        pid, values = (each.get("pid", ""), each.get("v")) if isinstance(each, dict) else ("", None)
        for value in values if isinstance(values, list) else [values]:
            restrictions.append((str(pid), str(value.get("id") if isinstance(value, dict) else value)))
    return restrictions


def _candidates(results: list[ScoredMatch]) -> list[dict[str, Any]]:
    same = [each for each in results if each.match.similarity == 1]
    return [
        {
            "id": each.match.concept.id,
            "name": each.match.concept.name,
            "description": _description(each.match.concept),
            "score": round(each.score * 100, 2),
            "match": same == [each],
            "type": _types_of(each.match.concept),
            "features": [
                {"id": "score", "value": round(each.score, 4)},
                {"id": "similarity", "value": each.match.similarity},
            ],
        }
        for each in results
    ]


def _types_of(concept: Concept) -> list[dict[str, str]]:
    values = ((column, getattr(concept, column)) for column in _TYPES)
    return [{"id": f"{column}:{value}", "name": f"{value} ({column})"} for column, value in values if value]


def _description(concept: Concept) -> str:
    return ", ".join(filter(None, (concept.vocabulary, concept.code, concept.domain, concept.concept_class)))


def _values(concept: Concept | None, name: str) -> list[dict[str, str]]:
    value = getattr(concept, name) if concept is not None else ""
    return [{"str": value}] if value else []


def _answer(request: Request, content: Any) -> Response:
    """OpenRefine's page asks from another port of this machine; other pages may only if --cors-origin names them."""
    origin = request.headers.get("origin", "")
    try:
        local = is_loopback(urlsplit(origin).hostname or "")
    except ValueError:
        local = False
    headers = {"access-control-allow-origin": origin, "vary": "origin"} if local else {}
    return JsonAnswer(content, headers=headers)
