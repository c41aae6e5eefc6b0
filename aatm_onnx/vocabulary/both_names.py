"""What a reranker is asked about a match: the name that was found, and the preferred name where it is another.

The mean of both scores finds more right concepts than either: a synonym can be a poor one, and a preferred name can
have no word in common with the term. A name that is the very term decides alone.
"""

from collections.abc import Sequence

from .concept import Match


def documents_of(matches: Sequence[Match]) -> list[str]:
    """The texts to score, first the names that were found."""
    return [match.text for match in matches] + [matches[place].concept.name for place in _asked_twice(matches)]


def combined(matches: Sequence[Match], scores: Sequence[float]) -> list[float]:
    """One score for each match, from those of `documents_of(matches)`."""
    results = list(scores[: len(matches)])
    for place, score in zip(_asked_twice(matches), scores[len(matches) :], strict=True):
        results[place] = (results[place] + score) / 2
    return results


def _asked_twice(matches: Sequence[Match]) -> list[int]:
    return [place for place, each in enumerate(matches) if each.similarity < 1 and each.text != each.concept.name]
