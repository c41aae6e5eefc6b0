"""Training rows: a query, its right answer, and the names that a retriever would have offered beside it."""

import random
from dataclasses import dataclass, field

import numpy as np

from recipe.disturb import disturb, rename
from recipe.pool import NgramIndex
from recipe.sources import Concept, fold
from recipe.spelling import as_read
from recipe.wording import something_else, tag_some, telegram

POOL = 50
MOST_NAMES = 4_000  # of a source that are asked for
SYNONYMS = 0.8  # of the rows ask with a synonym, the others with a name, disturbed
DISTURBED = 0.15  # of the synonyms
TURNED = 0.1  # of the synonyms are the answer to their own name
TYPED = 0.5  # of the altered queries are as clinics type them
TAGGED = 0.08  # of the rows have a tag or a layer of wording
QUERY_CUT, NAMES_CUT = 0.25, 0.15  # of the rows
ELSE = 0.5  # of the rows have their answer with a word more among the wrong ones
CLEAN = 0.3  # of the names ask for themselves as they are: what is near is still something else
ROOTLESS = 0.5  # of the synonyms that share letters with their name are drawn anew
RENAMED = 0.15  # of the rows have one word of theirs replaced by one that nobody ever saw


@dataclass
class Terminology:
    """Training concepts of one source, with its questions: (query, concept) and their pools of other concepts."""

    concepts: list[Concept]
    queries: list[str]
    synonyms: int  # so many queries, the first, are synonyms; the others are names
    right: np.ndarray  # (questions,) index of the concept asked for
    pools: np.ndarray  # (questions, POOL) indices of near concepts, the right one and its namesakes left out
    broader: bool = False  # whether the right ones say less than the queries

    def shares_root(self, at: int) -> bool:
        """Whether a question has four letters in common with its answer."""
        query, name = fold(self.queries[at]), fold(self.concepts[int(self.right[at])].name)
        return any(query[i : i + 4] in name for i in range(len(query) - 3) if " " not in query[i : i + 4])


@dataclass
class Row:
    """A query and its candidates, the right one first; `label` tells concepts of all sources apart."""

    query: str
    candidates: list[str]
    label: tuple[int, int]
    broader: bool = False  # whether the right one says less than the query
    query_cut: bool = False  # whether tokens are cut, so that a word's pieces say what it says
    names_cut: bool = False
    seed: int = 0


def make_terminology(concepts: list[Concept], most: int = 30_000) -> Terminology:
    """Synonyms ask for their concept, `most` of them; some names ask too (to be used with their spelling altered)."""
    names = [as_read(c.name) for c in concepts]
    said = [(text, i) for i, c in enumerate(concepts) for text, _ in c.synonyms]
    asked = some([(text, i) for text, i in said if as_read(text) != names[i]], most)
    synonyms = len(asked)
    asked += some([(c.name, i) for i, c in enumerate(concepts)], MOST_NAMES)
    index = NgramIndex([c.name for c in concepts])
    near = index.nearest([text for text, _ in asked], POOL + 6)
    pools = np.zeros((len(asked), POOL), dtype=np.int32)
    for row, (_, i) in enumerate(asked):
        others = [j for j in near[row] if j != i and names[j] != names[i]]
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
    telling: list[str] = field(default_factory=list)  # words that make another thing of a term

    def rows(self, count: int, seed: int) -> list[Row]:
        """`count` rows, each source in its share."""
        draw = random.Random(seed)
        chosen = draw.choices(range(len(self.sources)), self.share, k=count)
        return [self.row(which, draw) for which in chosen]

    def row(self, which: int, draw: random.Random) -> Row:
        """One row of a source."""
        source = self.sources[which]
        as_synonym = source.broader or draw.random() < SYNONYMS
        at = draw.randrange(source.synonyms) if as_synonym else draw.randrange(source.synonyms, len(source.queries))
        if as_synonym and source.shares_root(at) and draw.random() < ROOTLESS:
            at = draw.randrange(source.synonyms)
        right = int(source.right[at])
        query, answer = source.queries[at], source.concepts[right].name
        if as_synonym and not source.broader and draw.random() < TURNED:
            query, answer = answer, query
        wrong = draw.sample(source.pools[at].tolist(), self.candidates - 1)
        texts = [query, answer, *(source.concepts[j].name for j in wrong)]
        if draw.random() < RENAMED:
            texts = rename(texts, draw)
        if draw.random() < (DISTURBED if as_synonym else 1 - CLEAN):
            texts[0] = (telegram if draw.random() < TYPED else disturb)(texts[0], draw)
        if draw.random() < ELSE and (other := something_else(texts[1], texts[0], self.telling, draw)) != texts[1]:
            texts[2] = other
        if draw.random() < TAGGED:
            texts = tag_some(texts, draw)
        kind = draw.random()
        cut = (kind < QUERY_CUT, QUERY_CUT - NAMES_CUT / 2 < kind < QUERY_CUT + NAMES_CUT / 2)
        return Row(texts[0], texts[1:], (which, right), source.broader, *cut, draw.getrandbits(32))
