"""Training rows: a query, its right answer, and the names that a retriever would have offered beside it."""

import random
from dataclasses import dataclass

import numpy as np

from recipe.disturb import disturb, rename
from recipe.pool import NgramIndex
from recipe.sources import Concept, fold
from recipe.wording import tag_some, telegram

POOL = 50
MOST_SYNONYMS, MOST_NAMES = 30_000, 8_000  # of a source that are asked for
SYNONYMS = 0.8  # of the rows ask with a synonym, the others with a name, disturbed
DISTURBED = 0.15  # of the synonyms
TURNED = 0.1  # of the synonyms are the answer to their own name
TYPED = 0.5  # of the altered queries are as clinics type them
TAGGED = 0.08  # of the rows have a tag or a layer of wording
RENAMED = 0.15  # of the rows have one word of theirs replaced by one that nobody ever saw


@dataclass
class Terminology:
    """Training concepts of one source, with its questions: (query, concept) and their pools of other concepts."""

    concepts: list[Concept]
    queries: list[str]
    synonyms: int  # so many queries, the first, are synonyms; the others are names
    right: np.ndarray  # (questions,) index of the concept asked for
    pools: np.ndarray  # (questions, POOL) indices of near concepts, the right one and its namesakes left out


@dataclass
class Row:
    """A query and its candidates, the right one first; `label` tells concepts of all sources apart."""

    query: str
    candidates: list[str]
    label: tuple[int, int]


def make_terminology(concepts: list[Concept]) -> Terminology:
    """Synonyms ask for their concept; names ask too (to be used with their spelling altered)."""
    asked = some([(text, i) for i, c in enumerate(concepts) for text, _ in c.synonyms], MOST_SYNONYMS)
    synonyms = len(asked)
    asked += some([(c.name, i) for i, c in enumerate(concepts)], MOST_NAMES)
    index = NgramIndex([c.name for c in concepts])
    near = index.nearest([text for text, _ in asked], POOL + 6)
    folded = [fold(c.name) for c in concepts]
    pools = np.zeros((len(asked), POOL), dtype=np.int32)
    for row, (_, i) in enumerate(asked):
        others = [j for j in near[row] if j != i and folded[j] != folded[i]]
        pools[row] = others[:POOL]
    right = np.array([i for _, i in asked], dtype=np.int32)
    return Terminology(concepts, [text for text, _ in asked], synonyms, right, pools)


def some(asked: list[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """All, or `most` drawn at random."""
    return random.Random(0).sample(asked, min(most, len(asked)))


@dataclass
class Draw:
    """Draws rows at random; equal seeds draw equal rows."""

    sources: list[Terminology]
    share: list[float]
    candidates: int

    def rows(self, count: int, seed: int) -> list[Row]:
        """`count` rows, each source in its share."""
        draw = random.Random(seed)
        chosen = draw.choices(range(len(self.sources)), self.share, k=count)
        return [self.row(which, draw) for which in chosen]

    def row(self, which: int, draw: random.Random) -> Row:
        """One row of a source."""
        source = self.sources[which]
        as_synonym = draw.random() < SYNONYMS
        at = draw.randrange(source.synonyms) if as_synonym else draw.randrange(source.synonyms, len(source.queries))
        right = int(source.right[at])
        query, answer = source.queries[at], source.concepts[right].name
        if as_synonym and draw.random() < TURNED:
            query, answer = answer, query
        wrong = draw.sample(source.pools[at].tolist(), self.candidates - 1)
        texts = [query, answer, *(source.concepts[j].name for j in wrong)]
        if draw.random() < RENAMED:
            texts = rename(texts, draw)
        if not as_synonym or draw.random() < DISTURBED:
            texts[0] = (telegram if draw.random() < TYPED else disturb)(texts[0], draw)
        if draw.random() < TAGGED:
            texts = tag_some(texts, draw)
        return Row(texts[0], texts[1:], (which, right))
