"""Prove that a bundle computes the scores it was exported with: on this machine, with this runtime."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle, ConformanceVector
from .scoring import probability_of_yes, score_prompts
from .session import Session


@dataclass(frozen=True)
class Conformance:
    """How far the scores were from the bundle's conformance vectors."""

    prompts: int
    largest_difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every score is within the tolerance (never, where a score is not a number)."""
        return self.largest_difference <= self.tolerance


def check_conformance(bundle: Bundle, session: Session, token_budget: int = 2048) -> Conformance:
    """Score the conformance prompts the way a reranker does and compare with what the manifest promises.

    Args:
        bundle: the opened bundle.
        session: a session over its graph, on the execution provider to prove.
        token_budget: the most tokens of a batch.
    """
    vectors = bundle.conformance()
    difference = largest_difference(session, vectors, bundle.manifest.pad_token_id, token_budget)
    return Conformance(len(vectors), difference, bundle.manifest.graph.tolerance)


def largest_difference(
    session: Session, vectors: Sequence[ConformanceVector], pad_token_id: int, token_budget: int = 2048
) -> float:
    """How far a session's scores are at most from those that the vectors' logits mean."""
    prompts = [np.asarray(vector.input_ids, np.int32) for vector in vectors]
    scores = np.asarray(score_prompts(session, prompts, pad_token_id, token_budget))  # (vectors,)
    return float(np.abs(scores - scores_of(vectors)).max(initial=0.0))


def scores_of(vectors: Sequence[ConformanceVector]) -> NDArray[np.float64]:
    """The probabilities of "yes" that vectors promise, (vectors,)."""
    return probability_of_yes(np.asarray([vector.logits for vector in vectors], np.float32).reshape(-1, 2))
