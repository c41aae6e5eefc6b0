"""What a ranking is made of: checked texts, scores of pairs, ranked documents."""

from collections.abc import Iterable, Sequence
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
    """Return `value` if it is text that can be encoded.

    Raises:
        ValueError: naming `what`, if it is not a string or holds half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a string, not {type(value).__name__}; drop it or give it a text.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} is not valid Unicode ({error.reason} at character {error.start}).") from None
    return value


def check_documents(documents: Iterable[str], where: str = "") -> list[str]:
    """Return the documents as a list of checked texts.

    Args:
        documents: the texts.
        where: appended to what an error calls them, " of query 3".

    Raises:
        ValueError: they are one string, or one of them is not text.
    """
    if isinstance(documents, str):
        raise ValueError(f"The documents{where} must be a list of strings, not one string.")
    return [check_text(document, f"Document {index}{where}") for index, document in enumerate(documents)]
