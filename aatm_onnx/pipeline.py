"""aatm's side of a reranker: retriever results in, the same object out, reordered in place, with `|` between steps.

"Retriever results" is anything with `queries` and `results` whose items have `expression` and `rerank_score`: this
module's dataclasses, aatm's pydantic models, or a user's own. Nothing of aatm is imported here.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import InputTypeError
from .prompt import TokenIds, format_instruction, left_pad
from .ranking import check_text, descending
from .runtime.scoring import probability_of_yes


@dataclass
class RetrievedExpressionMetadata:
    """One candidate that a retriever proposed for a query.

    The fields are those of `aatm.data_models.RetrievedExpressionMetadata` (aatm 0.1.7), all but `expression` optional.

    Attributes:
        distance: the retriever's distance from the query; smaller is nearer.
        rerank_score: set by a reranker; larger is better. Qwen3Reranker's is the probability of "yes", BM25's is
            unbounded.
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


class PipelineBaseClass:
    """A step of a pipeline: `value | step` calls `step(value)`; the base step returns its input unchanged.

    The behaviour is that of `aatm.pipeline.PipelineBaseClass` (aatm 0.1.7).
    """

    def __or__(self, other: Any) -> Any:
        """Give this object to the step on the right: `a | b` is `b(a)`."""
        return other(self)

    def __ror__(self, other: Any) -> Any:
        """Take what stands on the left, whatever it is: `value | step` is `step(value)`."""
        return self(other)

    def __call__(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the input; steps that do something override this."""
        return input


class BaseReranker(PipelineBaseClass, ABC):
    """A pipeline step that reorders retriever results: subclasses say how in `rerank`, as in aatm."""

    @abstractmethod
    def rerank(self, retriever_results: Any) -> Any:
        """Return the same object, its candidates scored and reordered."""

    def __call__(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Check the input's type and rerank it: what `results | reranker` calls.

        Raises:
            InputTypeError: (an AssertionError, as aatm documents, and a TypeError) the input is not retriever results.
        """
        check_retriever_results(input)
        return self.rerank(input)


class BatchMethods(ABC):
    """aatm's lower-level methods of its Qwen3Reranker: formatted pairs become arrays, arrays become scores."""

    bundle: Bundle

    @abstractmethod
    def _encode(self, pairs: Sequence[str]) -> list[TokenIds]:
        """The whole prompts of formatted pairs."""

    @abstractmethod
    def _logits(self, token_ids: Sequence[TokenIds]) -> NDArray[np.float32]:
        """The logits of "no" and "yes" of whole prompts, (prompts, 2)."""

    def format_instruction(self, instruction: str, query: str, doc: str) -> str:
        """The text between prefix and suffix for one pair."""
        return format_instruction(instruction, query, doc)

    def process_inputs(self, pairs: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """Tokenize formatted pairs, put prefix and suffix around them, and pad on the left.

        Returns:
            `input_ids` and `attention_mask`, both of shape (batch, seq), int64.
        """
        checked = [check_text(pair, f"Pair {index}") for index, pair in enumerate(pairs)]
        input_ids, attention_mask = left_pad(self._encode(checked), self.bundle.manifest.pad_token_id)
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def compute_logits(self, inputs: Mapping[str, NDArray[np.integer[Any]]], **kwargs: Any) -> list[float]:
        """Score what `process_inputs` returned.

        Args:
            inputs: `input_ids` and `attention_mask`, both of shape (batch, seq).
            **kwargs: ignored, as in aatm.

        Returns:
            The probability of "yes" for each row (aatm's name for it notwithstanding, not a logit).

        Raises:
            ValueError: the arrays have other shapes, or ids that the model does not know.
        """
        ids, mask = np.asarray(inputs["input_ids"]), np.asarray(inputs["attention_mask"]).astype(bool)
        if ids.ndim != 2 or ids.shape != mask.shape:
            raise ValueError(f"input_ids and attention_mask must be (batch, seq), not {ids.shape} and {mask.shape}.")
        if not (np.issubdtype(ids.dtype, np.integer) and mask.any(axis=1).all()):
            raise ValueError("input_ids must be integers, and attention_mask must leave every row a token.")
        vocabulary = self.bundle.manifest.config.vocab_size
        if (unknown := ids[mask & ((ids < 0) | (ids >= vocabulary))]).size:
            raise ValueError(f"input_ids must be from 0 to {vocabulary - 1}, and {unknown[0]} is not.")
        token_ids = [row[real].astype(np.int32) for row, real in zip(ids, mask, strict=True)]
        scores: list[float] = probability_of_yes(self._logits(token_ids)).tolist()
        return scores


def read_texts(retriever_results: Any) -> tuple[list[str], list[list[str]]]:
    """Check retriever results and return their queries and each query's candidate texts.

    Raises:
        InputTypeError: the object, or one of its items, does not have the attributes of retriever results.
        ValueError: `queries` and `results` differ in length, a text is missing, or a candidate stands under two
            queries; query and candidate are named.
    """
    check_retriever_results(retriever_results)
    queries, results = retriever_results.queries, retriever_results.results
    if len(queries) != len(results):
        raise ValueError(f"There are {len(queries)} queries but {len(results)} lists of results; each query needs one.")
    checked = [check_text(query, f"Query {index}") for index, query in enumerate(queries)]
    texts = [_candidate_texts(index, candidates) for index, candidates in enumerate(results)]
    _refuse_shared(results)
    return checked, texts


def check_retriever_results(value: object) -> None:
    """Raise InputTypeError unless `value` has the two lists of retriever results."""
    for name in ("queries", "results"):
        if not hasattr(value, name):
            raise InputTypeError(
                "retriever_results must be of type RetrieverResults (with lists `queries` and `results`)."
                f" Got {type(value)}."
            )
        attribute = getattr(value, name)
        if not isinstance(attribute, Sequence) or isinstance(attribute, str | bytes):
            raise InputTypeError(
                f"retriever_results must be of type RetrieverResults, and its `{name}` a list, not {type(attribute)};"
                f" pass list(...) of it. Got {type(value)}."
            )


def _candidate_texts(query_index: int, candidates: object) -> list[str]:
    if not isinstance(candidates, MutableSequence):
        raise InputTypeError(
            f"The results of query {query_index} must be a list that can be reordered in place. Got {type(candidates)}."
        )
    texts = []
    for index, candidate in enumerate(candidates):
        what = f"candidate {index} of query {query_index}"
        if not (hasattr(candidate, "expression") and hasattr(candidate, "rerank_score")):
            raise InputTypeError(f"The {what} has no `expression` and `rerank_score`. Got {type(candidate)}.")
        texts.append(check_text(candidate.expression, f"The expression of {what}"))
    return texts


def _refuse_shared(results: Sequence[Sequence[Any]]) -> None:
    """A candidate has one score, so under two queries the second would overwrite the first's."""
    owner: dict[int, int] = {}  # query of each list and candidate, by identity
    for query, candidates in enumerate(results):
        if (first := owner.setdefault(id(candidates), query)) != query:
            raise ValueError(
                f"The results of query {first} and query {query} are the same list; give each query its own, as with"
                " copy.deepcopy."
            )
        for index, candidate in enumerate(candidates):
            if (first := owner.setdefault(id(candidate), query)) != query:
                raise ValueError(
                    f"The candidate {index} of query {query} is the same object as one of query {first}, and holds one"
                    " score only; give each query its own, as with copy.copy."
                )


def write_scores(retriever_results: Any, scores: Sequence[Sequence[float]]) -> None:
    """Set every candidate's `rerank_score` and put each list in descending order, in place.

    If an item refuses its score, everything is put back as it was before the error goes on.

    Args:
        retriever_results: as given to `read_texts`.
        scores: one list per query, in the candidates' order.
    """
    results = retriever_results.results
    before = [(candidates, list(candidates)) for candidates in results]
    scores_before = [(item, item.rerank_score) for candidates in results for item in candidates]
    try:
        for candidates, its_scores in zip(results, scores, strict=True):
            for item, score in zip(candidates, its_scores, strict=True):
                item.rerank_score = score
        for (candidates, items), its_scores in zip(before, scores, strict=True):
            _put(candidates, [items[index] for index in descending(its_scores)])
    except BaseException:
        for candidates, items in before:
            _put(candidates, items)
        for item, score in scores_before:
            if item.rerank_score is not score:
                item.rerank_score = score
        raise


def _put(candidates: MutableSequence[Any], items: Sequence[Any]) -> None:
    """Put items in place one by one: not every mutable sequence takes a slice (a deque does not)."""
    for position, item in enumerate(items):
        if candidates[position] is not item:
            candidates[position] = item
