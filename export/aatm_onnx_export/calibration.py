"""How far a rounded graph's scores are from float32: in order and in size, on queries with candidates much alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import Fidelity, Prompt
from aatm_onnx.prompt import PromptTokenizer, TokenIds, format_instruction
from aatm_onnx.runtime.scoring import score_prompts
from aatm_onnx.runtime.session import Session
from aatm_onnx.tokenizer import read_tokenizer

from .calibration_texts import QUERIES

Scores = NDArray[np.float64]

# Queries that begin in many ways: what their prompts have in common, those of any query have.
_BEGINNINGS = ("a", "Zebra", "7", " x", "(", "\n", "é", "心", "")


@dataclass(frozen=True)
class Calibration:
    """Prompts query by query, and the scores that they should have.

    prompts: token ids of every pair, candidates of one query together.
    sizes: how many candidates each query has.
    scores: in float32, (pairs,).
    """

    prompts: list[TokenIds]
    sizes: list[int]
    scores: Scores

    def measure(self, session: Session, pad_token_id: int, float_layers: Sequence[int]) -> Fidelity:
        """Compare a session's scores; `float_layers` are its graph's, for the record."""
        return compare_scores(
            np.array(score_prompts(session, self.prompts, pad_token_id)), self.scores, self.sizes, float_layers
        )


def compare_scores(
    scores: Scores, expected: Scores, sizes: Sequence[int], float_layers: Sequence[int] = ()
) -> Fidelity:
    """Scores against those in float32, (pairs,) each, `sizes` of them to a query.

    A score that is not a number counts as an infinite difference and a reversed order.
    """
    ends = np.cumsum(sizes)[:-1]
    orders = zip(np.split(scores, ends), np.split(expected, ends), strict=True)
    difference = np.nan_to_num(np.abs(scores - expected), nan=np.inf)
    return Fidelity(
        tau=float(np.mean(np.nan_to_num([kendall_tau(ours, theirs) for ours, theirs in orders], nan=-1.0))),
        mean_difference=float(difference.mean()),
        largest_difference=float(difference.max()),
        queries=len(sizes),
        pairs=len(scores),
        float_layers=sorted(float_layers),
    )


def kendall_tau(first: Scores, second: Scores) -> float:
    """Kendall's tau-b of two orders of the same candidates, (candidates,) each; 1 where both know but one rank."""
    upper = np.triu_indices(len(first), 1)
    a, b = (np.sign(scores[:, None] - scores[None, :])[upper] for scores in (first, second))
    if not a.any() and not b.any():
        return 1.0
    return float((a * b).sum() / max(1.0, np.sqrt(np.abs(a).sum() * np.abs(b).sum())))


def calibration_prompts(tokenizer: Path, prompt: Prompt, max_length: int) -> tuple[list[TokenIds], list[int]]:
    """The token ids of every pair of `calibration_texts.QUERIES` in this prompt, and each query's number of them."""
    asked = [(query, candidates) for queries, candidates in QUERIES.items() for query in queries]
    pairs = [
        format_instruction(prompt.task, query, candidate) for query, candidates in asked for candidate in candidates
    ]
    encoder = PromptTokenizer(
        read_tokenizer(tokenizer, control_tokens=False), prompt.prefix_ids, prompt.suffix_ids, max_length
    )
    return [prompt.ids for prompt in encoder.encode(pairs)], [len(candidates) for _, candidates in asked]


def constant_head(tokenizer: Path, prompt: Prompt, max_length: int) -> TokenIds:
    """The token ids that prompts begin with whatever the query: prefix, task and what stands before the query."""
    encoder = PromptTokenizer(
        read_tokenizer(tokenizer, control_tokens=False), prompt.prefix_ids, prompt.suffix_ids, max_length
    )
    ids = [each.ids for each in encoder.encode([format_instruction(prompt.task, query, "") for query in _BEGINNINGS])]
    shortest = min(map(len, ids))
    same = (np.stack([each[:shortest] for each in ids]) == ids[0][:shortest]).all(axis=0)  # (shortest,)
    return ids[0][: int(np.cumprod(same).sum())]
