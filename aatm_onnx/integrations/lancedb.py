"""LanceDB: a reranker of vector, full-text and hybrid searches."""

from typing import Any

from ..load import load_reranker
from ..models import DEFAULT_MODEL

try:
    import pyarrow as pa
    from lancedb.rerankers import Reranker as LanceReranker
except ImportError as error:
    raise ImportError(f"LanceDB can't be imported ({error}): pip install lancedb") from error

_RELEVANCE = "_relevance_score"


class OnnxReranker(LanceReranker):
    """Orders the rows of a search by their score against its query, in the column `_relevance_score`.

    Attributes:
        reranker: the reranker inside.
        column: the column of the text.
    """

    def __init__(
        self, model: str = DEFAULT_MODEL, column: str = "text", return_score: str = "relevance", **options: Any
    ) -> None:
        """Load the reranker.

        Args:
            model: a name or a bundle's path, as `load_reranker` takes it.
            column: the column of the text.
            return_score: "relevance", or "all" to keep the search's own scores too.
            **options: further arguments of `load_reranker`.
        """
        super().__init__(return_score)
        self.column = column
        self.reranker = load_reranker(model, **options)

    def __str__(self) -> str:
        """Its name and its reranker."""
        return f"OnnxReranker({self.reranker!r})"

    def rerank_vector(self, query: str, vector_results: pa.Table) -> pa.Table:
        """Order what a vector search found."""
        return self._ranked(query, vector_results)

    def rerank_fts(self, query: str, fts_results: pa.Table) -> pa.Table:
        """Order what a full-text search found."""
        return self._ranked(query, fts_results)

    def rerank_hybrid(self, query: str, vector_results: pa.Table, fts_results: pa.Table) -> pa.Table:
        """Order what both found, each row once."""
        if self.score == "all":
            return self._ranked(query, self._merge_and_keep_scores(vector_results, fts_results))
        return self._ranked(query, self.merge_results(vector_results, fts_results))

    def _ranked(self, query: str, table: pa.Table) -> pa.Table:
        if self.column not in table.column_names:
            names = ", ".join(table.column_names)
            raise ValueError(f"There is no column {self.column!r} to rank by; there are {names}. Give column=.")
        ranking = self.reranker.rank(query, table[self.column].to_pylist())
        scores = pa.array([each.score for each in ranking], pa.float32())
        ranked = table.take(pa.array([each.index for each in ranking], pa.int64())).append_column(_RELEVANCE, scores)
        if self.score == "relevance":
            ranked = ranked.drop_columns([name for name in ("_distance", "_score") if name in ranked.column_names])
        return ranked
