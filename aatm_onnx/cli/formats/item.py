"""One query with its candidates, as it was read."""

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
