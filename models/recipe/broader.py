"""Questions whose list has no equal of the query: what is asked for is what it is a kind of.

Someone who maps to a vocabulary that is coarser than their terms asks for this: "acute myringitis, right ear" is
"Myringitis" there.
"""

import random

import numpy as np

from recipe.pool import NgramIndex
from recipe.rows import POOL, Terminology, some
from recipe.sources import Concept
from recipe.spelling import as_read

TWO_UP = 0.3  # of the answers are a parent's parent, where there is one


def make_broader(concepts: list[Concept], most: int) -> Terminology:
    """Names and synonyms ask for a parent or for one of its parents, `most` of them.

    Neither the concept nor anything else above or below it is among the wrong answers.
    """
    draw, place = random.Random(0), {c.id: i for i, c in enumerate(concepts)}
    parents = [[place[p] for p in c.parents if p in place] for c in concepts]
    above = [reached(i, parents) for i in range(len(concepts))]
    asked = some([(text, i) for i, c in enumerate(concepts) if parents[i] for text in c.strings], most)
    names = [as_read(c.name) for c in concepts]
    near = NgramIndex([c.name for c in concepts]).nearest([text for text, _ in asked], 3 * POOL)
    queries, right, pools = [], [], []
    for (text, i), found in zip(asked, near, strict=True):
        answer = draw.choice(parents[i])
        if parents[answer] and draw.random() < TWO_UP:
            answer = draw.choice(parents[answer])
        taken = {as_read(text), names[i], names[answer]}
        others = [j for j in found if j not in above[i] and i not in above[j] and j != i and names[j] not in taken]
        if len(others) >= POOL:  # almost all that is near the most general ones lies below them
            queries.append(text)
            right.append(answer)
            pools.append(others[:POOL])
    return Terminology(
        concepts, queries, len(queries), np.array(right, np.int32), np.array(pools, np.int32), broader=True
    )


def reached(start: int, parents: list[list[int]]) -> set[int]:
    """Everything above a concept."""
    found: set[int] = set()
    waiting = [*parents[start]]
    while waiting:
        if (at := waiting.pop()) not in found:
            found.add(at)
            waiting += parents[at]
    return found
