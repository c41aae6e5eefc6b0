"""Training rows: a query, its right answer, and the names that a retriever would have offered beside it."""

import random
from dataclasses import dataclass

import numpy as np

from recipe.disturb import disturb, rename
from recipe.pool import NgramIndex
from recipe.sources import Concept, fold

POOL = 50
SYNONYMS = 0.8  # of the rows ask with a synonym, the others with a name, disturbed
DISTURBED = 0.15  # of the synonyms
TURNED = 0.1  # of the synonyms are the answer to their own name
RENAMED = 0.15  # of the rows have one word of theirs replaced by one that nobody ever saw


@dataclass
class Terminology:
    """Training concepts of one source, with its questions: (query, concept) and their pools of other concepts."""

    concepts: list[Concept]
    queries: list[str]  # synonyms first, then every name
    right: np.ndarray  # (questions,) index of the concept asked for
    pools: np.ndarray  # (questions, POOL) indices of near concepts, the right one and its namesakes left out
    tempting: np.ndarray | None = None  # (questions, POOL) how much each deceives the static model, as log weights


@dataclass
class Row:
    """A query and its candidates, the right one first; `label` tells concepts of all sources apart."""

    query: str
    candidates: list[str]
    label: tuple[int, int]


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


@dataclass
class Draw:
    """Draws rows at random; equal seeds draw equal rows."""

    sources: list[Terminology]
    share: list[float]
    candidates: int

    def rows(self, count: int, seed: int) -> list[Row]:
        """`count` rows, each source in its share."""
        draw, noise = random.Random(seed), np.random.default_rng(seed)
        chosen = draw.choices(range(len(self.sources)), self.share, k=count)
        return [self.row(which, draw, noise) for which in chosen]

    def row(self, which: int, draw: random.Random, noise: np.random.Generator) -> Row:
        """One row of a source."""
        source = self.sources[which]
        real = len(source.queries) - len(source.concepts)
        as_synonym = real > 0 and draw.random() < SYNONYMS
        at = draw.randrange(real) if as_synonym else draw.randrange(real, len(source.queries))
        right = int(source.right[at])
        query, answer = source.queries[at], source.concepts[right].name
        if as_synonym and draw.random() < TURNED:
            query, answer = answer, query
        keys = noise.gumbel(size=POOL) + (0 if source.tempting is None else source.tempting[at])
        wrong = source.pools[at][np.argpartition(-keys, self.candidates - 2)[: self.candidates - 1]]
        texts = [query, answer, *(source.concepts[j].name for j in wrong)]
        if draw.random() < RENAMED:
            texts = rename(texts, draw)
        if not as_synonym or draw.random() < DISTURBED:
            texts[0] = disturb(texts[0], draw)
        return Row(texts[0], texts[1:], (which, right))
