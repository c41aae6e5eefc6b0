"""Training rows: a query, its right answer, and the names that a retriever would have offered beside it."""

import random
from dataclasses import dataclass

import numpy as np

from recipe.pool import NgramIndex
from recipe.sources import Concept, fold

POOL = 50


@dataclass
class Terminology:
    """Training concepts of one source, with its questions: (query, concept) and their pools of other concepts."""

    concepts: list[Concept]
    queries: list[str]
    right: np.ndarray  # (questions,) index of the concept asked for
    pools: np.ndarray  # (questions, POOL) indices of near concepts, the right one and its namesakes left out


def make_terminology(concepts: list[Concept]) -> Terminology:
    """Every synonym asks for its concept; every name asks too (to be used with its spelling altered)."""
    asked = [(text, i) for i, c in enumerate(concepts) for text, _ in c.synonyms] + [
        (c.name, i) for i, c in enumerate(concepts)
    ]
    index = NgramIndex([c.name for c in concepts])
    near = index.nearest([text for text, _ in asked], POOL + 6)
    folded = [fold(c.name) for c in concepts]
    pools = np.zeros((len(asked), POOL), dtype=np.int32)
    for row, (_, i) in enumerate(asked):
        others = [j for j in near[row] if j != i and folded[j] != folded[i]]
        pools[row] = others[:POOL]
    return Terminology(concepts, [t for t, _ in asked], np.array([i for _, i in asked], dtype=np.int32), pools)


LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPELLINGS = [
    ("ae", "e"),
    ("oe", "e"),
    ("our", "or"),
    ("aem", "em"),
    ("ise", "ize"),
    ("ph", "f"),
    ("y", "i"),
    ("tumour", "tumor"),
]


def disturb(text: str, draw: random.Random) -> str:
    """The same term as someone else might write it: a typo, another order, a lost word, a plural, an abbreviation."""
    words = text.split(" ")
    for _ in range(draw.choice((1, 1, 2))):
        kind = draw.random()
        at = draw.randrange(len(words))
        word = words[at]
        if kind < 0.35 and len(word) > 3:
            words[at] = typo(word, draw)
        elif kind < 0.55 and len(words) > 1:
            cut = draw.randrange(1, len(words))
            words = words[cut:] + words[:cut]
        elif kind < 0.7 and len(words) > 2:
            words.pop(at)
        elif kind < 0.8:
            words[at] = word[:-1] if word.endswith("s") else word + "s"
        elif kind < 0.9 and len(word) > 5:
            words[at] = word[: draw.randrange(3, len(word) - 1)] + draw.choice(("", "."))
        else:
            old, new = draw.choice(SPELLINGS)
            words[at] = word.replace(old, new) if old in word else word.replace(new, old)
    return " ".join(words)


def typo(word: str, draw: random.Random) -> str:
    """One letter lost, doubled, changed, or swapped with the next."""
    at = draw.randrange(1, len(word) - 1)
    kind = draw.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[:at] + draw.choice(LETTERS) + word[at + 1 :]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
