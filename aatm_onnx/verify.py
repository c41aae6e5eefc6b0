"""Prove that a bundle computes the scores it was exported with: on this machine, with this runtime."""

from dataclasses import dataclass

import numpy as np

from .bundle import Bundle
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
    prompts = [np.asarray(vector.input_ids, np.int32) for vector in vectors]
    scores = np.asarray(score_prompts(session, prompts, bundle.manifest.pad_token_id, token_budget))  # (vectors,)
    expected = probability_of_yes(np.asarray([vector.logits for vector in vectors], np.float32).reshape(-1, 2))
    difference = np.abs(scores - expected).max(initial=0.0)
    return Conformance(len(vectors), float(difference), bundle.manifest.graph.tolerance)
