"""What a ranking is made of: checked texts, scores of pairs, ranked documents."""

import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class PairScore:
    """The score of one query-document pair.

    Attributes:
        score: larger is better. Qwen3Reranker's is the probability of "yes", in [0, 1]; BM25's is unbounded.
        logit: the logit of "yes" minus the logit of "no", or None from BM25, which has none.
        tokens: how many tokens the whole prompt had; 0 from BM25.
        truncated: whether the pair was cut to fit the model's `max_length`.
    """

    score: float
    logit: float | None = None
    tokens: int = 0
    truncated: bool = False


class _Ranked(NamedTuple):
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs on a row of a ranking
    score: float
    document: str


class RankedDocument(_Ranked):
    """One document of a ranking: a tuple of (index, score, document), with more about the pair as attributes.

    Attributes:
        index: its place in the list that was given.
        score: larger is better.
        document: its text.
        logit: as in PairScore.
        tokens: as in PairScore.
        truncated: as in PairScore.
    """

    logit: float | None = None
    tokens: int = 0
    truncated: bool = False

    @classmethod
    def of(cls, index: int, pair: PairScore, document: str) -> "RankedDocument":
        """The ranked document of a scored pair."""
        ranked = cls(index, pair.score, document)
        ranked.logit, ranked.tokens, ranked.truncated = pair.logit, pair.tokens, pair.truncated
        return ranked


def ranking_of(documents: Sequence[str], pairs: Sequence[PairScore]) -> list[RankedDocument]:
    """Documents best first; equal scores keep the order given."""
    order = descending([pair.score for pair in pairs])
    return [RankedDocument.of(index, pairs[index], documents[index]) for index in order]


def descending(scores: Sequence[float]) -> list[int]:
    """Indices from the largest score to the smallest; equal scores keep their order."""
    return sorted(range(len(scores)), key=lambda index: scores[index], reverse=True)


def check_text(value: object, what: str) -> str:
    """Return `value` as a plain str if it is text that can be encoded.

    An enum's member that is a string formats as its name, so a prompt would hold "Term.KIDNEY" in place of its text.

    Raises:
        ValueError: naming `what`, if it is not a string or holds half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a string, not {type(value).__name__}; drop it or give it a text.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} is not valid Unicode ({error.reason} at character {error.start}).") from None
    return str.__str__(value)


def check_documents(documents: Iterable[str], where: str = "") -> list[str]:
    """Return the documents as a list of checked texts.

    Args:
        documents: the texts.
        where: appended to what an error calls them, " of query 3".

    Raises:
        ValueError: they are not a list of texts, or one of them is not text.
    """
    check_list(documents, f"The documents{where}")
    return [check_text(document, f"Document {index}{where}") for index, document in enumerate(documents)]


def check_list(values: object, what: str) -> None:
    """Refuse what can be iterated over but is not a list: it would be taken for other texts than were meant.

    Raises:
        ValueError: naming `what`, and what to pass instead.
    """
    kind = type(values).__name__
    if isinstance(values, str | bytes):
        raise ValueError(f"{what} must be a list of strings, not one string; put it in a list.")
    if isinstance(values, Mapping):
        raise ValueError(f"{what} must be a list of strings, not a {kind}; pass list(it.values()), or its keys.")
    if hasattr(values, "columns"):  # pandas', polars' and Arrow's
        raise ValueError(f"{what} must be a list of strings, not a {kind}; pass one of its columns.")
    if isinstance(values, Set):
        raise ValueError(f"{what} must be a list of strings, not a {kind}, which has no order; pass list(it).")
    if not isinstance(values, Iterable) and not hasattr(values, "__getitem__"):
        raise ValueError(f"{what} must be a list of strings, not {kind}.")


def check_count(value: object, what: str, least: int) -> int:
    """Return a whole number that is at least `least`, as int: numpy's integers are taken too, True is not.

    Raises:
        ValueError: naming `what`.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError(f"{what} must be a whole number, not {value!r:.80}.")
    if (count := operator.index(value)) < least:
        raise ValueError(f"{what} must be at least {least}, not {count}.")
    return count


def check_top_k(top_k: object) -> int | None:
    """Return how many of the best are wanted, None for all.

    Raises:
        ValueError: it is neither None nor a whole number from 1.
    """
    return None if top_k is None else check_count(top_k, "top_k (None returns all)", 1)
