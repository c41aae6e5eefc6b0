"""A vocabulary as the first step of a pipeline: `retriever(queries) | reranker`."""

from collections.abc import Iterable
from typing import Any

from ..pipeline import PipelineBaseClass, RetrievedExpressionMetadata, RetrieverResults
from ..ranking import check_count, check_documents
from .concept import Filters, Match
from .index import Vocabulary


class VocabularyRetriever(PipelineBaseClass):
    """Finds candidates for queries in a vocabulary.

    Attributes:
        vocabulary: the opened vocabulary.
        top_k: how many concepts to find for a query.
        filters: which concepts may be found.

    Example:
        >>> VocabularyRetriever("vocabulary")(["kidney stones"]) | Qwen3Reranker()  # doctest: +SKIP
    """

    def __init__(self, vocabulary: Vocabulary | str, top_k: int = 50, filters: Filters | None = None) -> None:
        """Open the vocabulary, if its folder is given."""
        self.vocabulary = vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary(vocabulary)
        self.top_k = check_count(top_k, "top_k", 1)
        self.filters = filters or Filters()

    def __call__(self, input: Iterable[str], *args: Any, **kwargs: Any) -> RetrieverResults:
        """Find candidates.

        Args:
            input: the queries.
            *args: ignored.
            **kwargs: ignored.

        Returns:
            For every query its candidates, each concept once, most similar first.

        Raises:
            ValueError: a query is not a text.
        """
        queries = check_documents(input)
        found = [self.vocabulary.search(query, self.top_k, self.filters) for query in queries]
        return RetrieverResults(queries, [[_candidate(match) for match in matches] for matches in found])


def _candidate(match: Match) -> RetrievedExpressionMetadata:
    concept = match.concept
    return RetrievedExpressionMetadata(
        expression=match.text,
        expression_concept_id=concept.id,
        expression_origin="name" if match.text == concept.name else "synonym",
        std_concept_id=concept.id,
        std_concept_name=concept.name,
        std_vocabulary_id=concept.vocabulary,
        std_vocabulary_code=concept.code,
        std_domain_id=concept.domain,
        distance=1 - match.similarity,
    )
