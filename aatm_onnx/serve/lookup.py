"""A vocabulary behind the server: candidates found, scored in the server's queue, and `/search` for the page."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..vocabulary import Filters, Match, Vocabulary
from ..vocabulary.both_names import combined, documents_of
from .answers import JsonAnswer
from .errors import invalid
from .jobs import Group
from .pages import SEARCH

RETRIEVED = 50
_MOST_RESULTS = 100
_MOST_CHARACTERS = 1000  # of a query: a term is shorter


@dataclass(frozen=True)
class Wish:
    """One query to be answered: its text, how many results, and which concepts."""

    text: str
    limit: int
    filters: Filters


@dataclass(frozen=True)
class ScoredMatch:
    """A match with the reranker's score."""

    match: Match
    score: float


class Lookup:
    """Searches a vocabulary and has a server's first model order what was found."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Take the vocabulary; where it has standard concepts, only these are found unless a filter says otherwise."""
        self.vocabulary = vocabulary

    def filters(self, **allowed: tuple[str, ...]) -> Filters:
        """Filters with the rule for standard concepts."""
        return Filters(**allowed, standard=self.vocabulary.has_standard_concepts)

    async def find(self, request: Request, wishes: Sequence[Wish]) -> list[list[ScoredMatch]]:
        """The results of each query, best first.

        Raises:
            ApiError: a text is too long or empty, a filter is unknown, or the server is overloaded.
        """
        service = request.app.state.service
        service.admission.check_state()
        for wish in wishes:
            if len(wish.text) > _MOST_CHARACTERS:
                raise invalid(f"A query has more than {_MOST_CHARACTERS} characters.")
        found = await asyncio.to_thread(self._search, wishes)
        model, _ = service.models.choose(None)
        asked = [place for place, matches in enumerate(found) if matches]
        groups = [Group(wishes[place].text, documents_of(found[place])) for place in asked]
        results: list[list[ScoredMatch]] = [[] for _ in wishes]
        if groups:
            scored = await service.score(request, model, groups, True)
            for place, pairs in zip(asked, scored.scores, strict=True):
                scores = combined(found[place], [pair.score for pair in pairs])
                both = [ScoredMatch(match, score) for match, score in zip(found[place], scores, strict=True)]
                results[place] = sorted(both, key=lambda each: -each.score)[: wishes[place].limit]
        return results

    def _search(self, wishes: Sequence[Wish]) -> list[list[Match]]:
        return [self.vocabulary.search(wish.text, max(RETRIEVED, wish.limit), wish.filters) for wish in wishes]

    def routes(self) -> list[Route]:
        """The page's search."""
        return [Route(SEARCH, self.search)]

    async def search(self, request: Request) -> Response:
        """Answer `/search?q=TERM`: ranked concepts. Repeated `vocabulary`, `domain` and `class` filter them."""
        asked = request.query_params
        filters = self.filters(
            vocabularies=tuple(asked.getlist("vocabulary")),
            domains=tuple(asked.getlist("domain")),
            classes=tuple(asked.getlist("class")),
        )
        query = asked.get("q", "").strip()
        wish = Wish(query, limit_of(asked.get("limit"), 20), filters)
        (results,) = await self.find(request, [wish])
        return JsonAnswer(
            {
                "query": query,
                "concepts": len(self.vocabulary),
                "results": [_described(each) for each in results],
            }
        )


def limit_of(value: Any, default: int) -> int:
    """A request's limit.

    Raises:
        ApiError: it is not a number above 0.
    """
    if value in (None, ""):
        return default
    try:
        limit = int(value)
    except (TypeError, ValueError, OverflowError):  # the last of infinity
        limit = 0
    if limit < 1:
        raise invalid("limit must be a whole number above 0.")
    return min(limit, _MOST_RESULTS)


def _described(each: ScoredMatch) -> dict[str, Any]:
    concept = each.match.concept
    return {
        "id": concept.id,
        "name": concept.name,
        "matched_name": each.match.text,
        "score": each.score,
        "similarity": each.match.similarity,
        "vocabulary": concept.vocabulary,
        "domain": concept.domain,
        "class": concept.concept_class,
        "standard": concept.standard,
        "code": concept.code,
    }
