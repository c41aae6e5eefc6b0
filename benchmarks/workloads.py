"""The workloads: prompts of random token ids for time, which does not depend on the words, and terms for memory."""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from aatm_onnx.prompt import TokenIds

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))

from recipe.sources import load_hpo

_VOCABULARY = 151_000


@dataclass(frozen=True)
class Workload:
    """Queries with candidates, as token counts.

    Attributes:
        title: what to call it.
        queries: how many.
        candidates: of each query.
        prefix: tokens that all prompts share (system prompt and task).
        query: tokens that the candidates of one query share after that.
        own: tokens of each candidate with the prompt's end, taken in turn and again from the first.
    """

    title: str
    queries: int
    candidates: int
    prefix: int
    query: int
    own: tuple[int, ...]

    def prompts(self, begin: Sequence[int] = (), vocabulary: int = _VOCABULARY) -> list[TokenIds]:
        """Whole prompts, query after query; `begin` are the true ids of the shared prefix's first tokens."""
        rng = np.random.default_rng(0)
        prefix = rng.integers(0, vocabulary, self.prefix)
        prefix[: len(begin)] = begin[: self.prefix]
        prompts = []
        for _ in range(self.queries):
            query = rng.integers(0, vocabulary, self.query)
            for own in islice(cycle(self.own), self.candidates):
                prompts.append(np.concatenate([prefix, query, rng.integers(0, vocabulary, own)]).astype(np.int32))
        return prompts


# HPO's names have 3 to 14 tokens of Qwen3's tokenizer (these are the middles of the tenths of 1,000), the end has 13.
NAMES = tuple(13 + tokens for tokens in (3, 4, 5, 5, 6, 7, 8, 9, 10, 14))
WORDS = (4, 4, 5, 5, 6, 6, 7, 7, 9, 11)  # the same with the default model, whose end has two

WORKLOADS = {
    "T": Workload("T: 1 query, 100 candidates, 75 tokens shared, 20 own", 1, 100, 57, 18, (20,)),
    "R": Workload("R: 1 query, 32 passages of 300 tokens", 1, 32, 57, 18, (309,)),
    "M": Workload("M: 100 queries, 10 candidates each", 100, 10, 57, 18, (20,)),
}


def terms(count: int) -> list[str]:
    """HPO names. Memory does depend on which words they are: their rows of the embedding lie in a file."""
    return random.Random(0).sample([concept.name for concept in load_hpo()], count)
