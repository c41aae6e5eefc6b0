"""The lexical reranker: BM25, which needs neither a model nor a runtime."""

from collections.abc import Sequence

from .ranking import PairScore
from .reranker import Documents, Reranker


class BM25Reranker(Reranker):
    """Lexical scores: BM25Okapi over each query's own candidates, words split on single spaces.

    The scores are exactly those of `aatm.rerankers.BM25Reranker` (aatm 0.1.7); case counts, as it does there. A task
    changes nothing, and nothing is ever too long.
    """

    scores_depend_on_list = True

    def _score_pairs(
        self, queries: Sequence[str], documents: Documents, tasks: Sequence[str | None], truncate: bool, first: int = 0
    ) -> list[list[PairScore]]:
        return [_bm25(query, texts) for query, texts in zip(queries, documents, strict=True)]

    def __repr__(self) -> str:
        """Its name."""
        return "BM25Reranker()"


def _bm25(query: str, texts: Sequence[str]) -> list[PairScore]:
    """BM25 scores, unbounded; 0 where no word is shared."""
    from rank_bm25 import BM25Okapi  # it imports multiprocessing, which the neural reranker need not wait for

    if not texts:  # rank-bm25 divides by the corpus size
        return []
    scores = BM25Okapi([text.split(" ") for text in texts]).get_scores(query.split(" "))
    return [PairScore(score) for score in scores.tolist()]
