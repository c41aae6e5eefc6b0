"""Retriever results in and out: check them, read their texts, and reorder them in place or not at all.

"Retriever results" is anything with `queries` and `results` whose items have `expression` and `rerank_score`: this
package's dataclasses, aatm's pydantic models, or a user's own.
"""

from collections.abc import MutableSequence, Sequence
from typing import Any, NamedTuple

from .errors import InputTypeError


class RankedDocument(NamedTuple):
    """One document of a ranking: its index in the list that was given, its score, its text."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs on a row of a ranking
    score: float
    document: str


def descending(scores: Sequence[float]) -> list[int]:
    """Indices from the largest score to the smallest; equal scores keep their order."""
    return sorted(range(len(scores)), key=lambda index: scores[index], reverse=True)


def check_text(value: object, what: str) -> str:
    """Return `value` if it is text that can be encoded.

    Raises:
        ValueError: naming `what`, if it is no string or holds half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a string, not {type(value).__name__}; drop it or give it a text.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} is not valid Unicode ({error.reason} at character {error.start}).") from None
    return value


def read_texts(retriever_results: Any) -> tuple[list[str], list[list[str]]]:
    """Check retriever results and return their queries and each query's candidate texts.

    Raises:
        InputTypeError: the object, or one of its items, does not have the attributes of retriever results.
        ValueError: `queries` and `results` differ in length, or a text is missing; query and candidate are named.
    """
    check_retriever_results(retriever_results)
    queries, results = retriever_results.queries, retriever_results.results
    if len(queries) != len(results):
        raise ValueError(f"There are {len(queries)} queries but {len(results)} lists of results; each query needs one.")
    checked = [check_text(query, f"Query {index}") for index, query in enumerate(queries)]
    return checked, [_candidate_texts(index, candidates) for index, candidates in enumerate(results)]


def check_retriever_results(value: object) -> None:
    """Raise InputTypeError unless `value` has the two lists of retriever results."""
    for name in ("queries", "results"):
        if not isinstance(getattr(value, name, None), Sequence) or isinstance(getattr(value, name), str):
            raise InputTypeError(
                "retriever_results must be of type RetrieverResults (with lists `queries` and `results`)."
                f" Got {type(value)}."
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
    """One by one, for not every mutable sequence takes a slice (a deque does not)."""
    for position, item in enumerate(items):
        if candidates[position] is not item:
            candidates[position] = item
