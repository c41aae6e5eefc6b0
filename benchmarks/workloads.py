"""The workloads that are timed, as prompts of random token ids: time does not depend on which words they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aatm_onnx.prompt import TokenIds

_VOCABULARY = 151_000


@dataclass(frozen=True)
class Workload:
    """Queries with candidates, as token counts.

    head: tokens that all prompts share (system prompt and task).
    query: tokens that the candidates of one query share after that.
    own: tokens of a candidate and the prompt's end.
    """

    title: str
    queries: int
    candidates: int
    head: int
    query: int
    own: int

    def prompts(self, begin: Sequence[int] = ()) -> list[TokenIds]:
        """Whole prompts, query after query; `begin` are the true ids of the head's first tokens."""
        rng = np.random.default_rng(0)
        head = rng.integers(0, _VOCABULARY, self.head)
        head[: len(begin)] = begin[: self.head]
        prompts = []
        for _ in range(self.queries):
            query = rng.integers(0, _VOCABULARY, self.query)
            for _ in range(self.candidates):
                prompts.append(np.concatenate([head, query, rng.integers(0, _VOCABULARY, self.own)]).astype(np.int32))
        return prompts


WORKLOADS = {
    "T": Workload("T: 1 query, 100 candidates, 75 tokens shared, 20 own", 1, 100, 57, 18, 20),
    "R": Workload("R: 1 query, 32 passages of 300 tokens", 1, 32, 57, 18, 309),
    "M": Workload("M: 100 queries, 10 candidates each", 100, 10, 57, 18, 20),
}

# For memory, whose growth does not depend on how long candidates are.
SHORT = Workload("1 query, 75 tokens shared, 5 own", 1, 100, 57, 18, 5)
