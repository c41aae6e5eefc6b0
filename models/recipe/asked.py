"""What tests ask: synonyms, each for the concept that has it."""

import random
from collections.abc import Collection
from functools import cache

from recipe.laboratory import usual_analytes
from recipe.learning import learned_strings
from recipe.sources import Concept, split_of
from recipe.spelling import as_read
from recipe.wording import BY_LONG


def asked_synonyms(concepts: list[Concept], splits: Collection[str], count: int) -> list[tuple[str, int]]:
    """Up to `count` exact synonyms of the concepts of some splits, each with its concept's place among all.

    What training has is not asked.
    """
    return to_ask(concepts, splits, count, learned_strings() | listed_words())


def to_ask(
    concepts: list[Concept], splits: Collection[str], count: int, learned: Collection[str]
) -> list[tuple[str, int]]:
    """The same without what these strings, as they are read, have."""
    place = {c.id: i for i, c in enumerate(concepts)}
    of_splits = [(text, place[c.id]) for c in concepts if split_of(c) in splits for text in c.exact]
    asked = [(text, at) for text, at in of_splits if as_read(text) not in learned]
    return sorted(random.Random(0).sample(asked, min(count, len(asked))))


@cache
def listed_words() -> set[str]:
    """Analytes and what people call them, short forms and what they stand for, as they are read."""
    lists = [(a.name, *a.said) for a in usual_analytes()] + [(long, *shorts) for long, shorts in BY_LONG.items()]
    return {as_read(text) for texts in lists for text in texts}
