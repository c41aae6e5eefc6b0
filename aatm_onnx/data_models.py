"""Retriever results, with aatm's names and fields but without pydantic; every field but `expression` is optional."""

from dataclasses import dataclass, field


@dataclass
class RetrievedExpressionMetadata:
    """One candidate that a retriever proposed for a query.

    The fields are those of `aatm.data_models.RetrievedExpressionMetadata` (aatm 0.1.7).

    distance: the retriever's distance from the query; smaller is nearer.
    rerank_score: set by a reranker; larger is better. Qwen3Reranker's is the probability of "yes", BM25's is unbounded.
    """

    expression: str
    expression_id: str | None = None
    expression_concept_id: str | None = None
    expression_origin: str | None = None
    std_concept_id: str | None = None
    std_concept_name: str | None = None
    std_vocabulary_id: str | None = None
    std_vocabulary_code: str | None = None
    std_domain_id: str | None = None
    distance: float | None = None
    rerank_score: float | None = None


@dataclass
class RetrieverResults:
    """What a retriever found: `results[i]` are the candidates of `queries[i]`, best first."""

    queries: list[str] = field(default_factory=list)
    results: list[list[RetrievedExpressionMetadata]] = field(default_factory=list)
