"""One query with its candidates, as it was read, and what its further fields are called in the output."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class QueryCandidates:
    """One query and its candidates in the retriever's order.

    Attributes:
        query: the query's text.
        candidates: the candidates' texts.
        extra: further fields of each candidate.
        fields: further fields of the query's own JSON object.
        task: the query's own instruction to the model; None where it has none.
        where: what to call the query in an error: file and line.
    """

    query: str
    candidates: list[str] = field(default_factory=list)
    extra: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    task: str | None = None
    where: str = "The query"


def further_names(items: Iterable[QueryCandidates]) -> tuple[list[str], list[str]]:
    """The names of all further fields, of the queries and of their candidates."""
    queries, candidates = dict[str, None](), dict[str, None]()
    for item in items:
        queries.update(dict.fromkeys(item.fields))
        for extra in item.extra:
            candidates.update(dict.fromkeys(extra))
    return list(queries), list(candidates)


def kept_as(further: Collection[str], own: Collection[str]) -> dict[str, str]:
    """What further fields are called beside those that the output has of its own: `input_NAME` where NAME is taken."""
    taken = {*own, *further}
    names = {}
    for name in further:
        kept = name
        while kept in own or (kept != name and kept in taken):
            kept = f"input_{kept}"
        taken.add(kept)
        names[name] = kept
    return names
