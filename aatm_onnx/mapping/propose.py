"""Candidates for texts, scored and ordered: a vocabulary's search, then a reranker."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from ..bm25 import BM25Reranker
from ..bundle.manifest import seal_of
from ..reranker import Reranker
from ..vocabulary import Filters, Vocabulary
from ..vocabulary.both_names import combined, documents_of

TEXTS_AT_ONCE = 32


class Candidate(NamedTuple):
    """A concept proposed for a text.

    Attributes:
        concept_id: the concept.
        text: that of its names which was found.
        score: the reranker's, or the similarity where there is no reranker.
        similarity: the search's.
    """

    concept_id: str
    text: str
    score: float
    similarity: float


@dataclass
class Proposer:
    """Finds and orders candidates.

    Attributes:
        vocabulary: where to search.
        reranker: orders what was found; None keeps the search's order, with the similarity as the score.
        retrieved: how many concepts to find.
        kept: how many of them to return.
        filters: which concepts may be found.
    """

    vocabulary: Vocabulary
    reranker: Reranker | None
    retrieved: int = 50
    kept: int = 5
    filters: Filters = field(default_factory=Filters)

    def propose(self, texts: Sequence[str]) -> list[list[Candidate]]:
        """The best candidates of each text, best first; equal scores keep the search's order."""
        found = [self.vocabulary.search(text, self.retrieved, self.filters) for text in texts]
        scored: list[list[float]]
        if self.reranker is None:
            scored = [[match.similarity for match in matches] for matches in found]
        else:
            case = str.lower if isinstance(self.reranker, BM25Reranker) else str  # BM25 compares words as they are
            pairs = self.reranker.score_pairs(
                [case(text) for text in texts], [list(map(case, documents_of(matches))) for matches in found]
            )
            scored = [
                combined(matches, [pair.score for pair in row]) for matches, row in zip(found, pairs, strict=True)
            ]
        return [
            sorted(
                (
                    Candidate(match.concept.id, match.text, score, match.similarity)
                    for match, score in zip(matches, scores, strict=True)
                ),
                key=lambda candidate: -candidate.score,
            )[: self.kept]
            for matches, scores in zip(found, scored, strict=True)
        ]

    def describe(self) -> dict[str, object]:
        """What the results depend on."""
        bundle = getattr(self.reranker, "bundle", None)
        return {
            "vocabulary": self.vocabulary.checksum,
            "model": type(self.reranker).__name__ if bundle is None else seal_of(asdict(bundle.manifest)),
            "retrieved": self.retrieved,
            "kept": self.kept,
            "filters": [*map(list, (self.filters.vocabularies, self.filters.domains, self.filters.classes))],
            "standard": self.filters.standard,
        }
