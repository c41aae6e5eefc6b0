"""OntoAligner: a reranker for AlignerPipeline, and one for its older hook."""

from typing import Any

from ..load import load_reranker
from ..models import DEFAULT_MODEL
from ..reranker import Reranker

try:
    from ontoaligner.aligner.retrieval.reranking import Reranking
    from ontoaligner.base.rerank import Rerank
except ImportError as error:
    raise ImportError(f"OntoAligner can't be imported ({error}): pip install ontoaligner") from error


class OnnxReranking(Reranking):
    """The `reranker` of an AlignerPipeline: each source concept's candidates, best first, with their scores."""

    def __init__(
        self, model: str = DEFAULT_MODEL, top_k: int = 5, normalize_score: str = "none", **options: Any
    ) -> None:
        """Load the reranker.

        Args:
            model: a name or a bundle's path, as `load_reranker` takes it.
            top_k: how many candidates of a source concept to keep.
            normalize_score: OntoAligner's; "none" keeps the probabilities.
            **options: further arguments of `load_reranker`.
        """
        super().__init__(top_k=top_k, normalize_score=normalize_score)
        self._load(model, options)

    def load(self, path: str = DEFAULT_MODEL, **options: Any) -> None:
        """Load another reranker, as a pipeline's `reranker_load_params` ask for."""
        self._load(path, options)

    def _load(self, path: str, options: dict[str, Any]) -> None:
        self.path = path
        self.model: Reranker = load_reranker(path, **options)

    def rerank_candidates(self, query: str, documents: list[str]) -> list[float]:
        """Score documents, in the order given."""
        return self.model.score(query, documents)

    def __str__(self) -> str:
        """OntoAligner's name of it."""
        return f"{super().__str__()}+OnnxReranking"


class OnnxRerank(Rerank):
    """A reranker for `rerank_retrieval_outputs`, in the place of CohereRerank."""

    def __init__(self, model: str = DEFAULT_MODEL, top_n: int = 1, **options: Any) -> None:
        """Load the reranker.

        Args:
            model: a name or a bundle's path, as `load_reranker` takes it.
            top_n: how many candidates of a source concept to return.
            **options: further arguments of `load_reranker`.
        """
        super().__init__(top_n=top_n)
        self.reranker = load_reranker(model, **options)

    def rerank_candidates(self, query: str, documents: list[str]) -> list[dict[str, Any]]:
        """The best documents: their places in the list, and their scores."""
        ranking = self.reranker.rank(query, documents, self.top_n)
        return [{"index": each.index, "relevance_score": each.score} for each in ranking]
