"""Prove that a bundle computes the scores it was exported with: on this machine, with this runtime."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bundle import CONFORMANCE_FILE, Bundle
from ..errors import BundleError
from ..prompt import TokenIds, format_instruction, prompt_tokenizer
from .scoring import probability_of_yes, score_prompts
from .session import Session


@dataclass(frozen=True)
class Conformance:
    """How far the scores were from the bundle's conformance vectors.

    Attributes:
        prompts: how many were scored.
        largest_difference: of a score.
        tolerance: what the manifest allows.
    """

    prompts: int
    largest_difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every score is within the tolerance (never, where a score is not a number)."""
        return self.largest_difference <= self.tolerance


def check_conformance(bundle: Bundle, session: Session, token_budget: int = 2048) -> Conformance:
    """Tokenize and score the conformance pairs the way a reranker does and compare with what the bundle promises.

    Args:
        bundle: the opened bundle.
        session: a session over its graph, on the execution provider to prove.
        token_budget: the most tokens of a batch.

    Raises:
        BundleError: the vectors can't be read, or the tokenizer and the manifest's prompt give other token ids.
    """
    manifest = bundle.manifest
    vectors = bundle.conformance()
    check_tokenizer(bundle)
    prompts = [np.asarray(vector.input_ids, np.int32) for vector in vectors]
    logits = np.asarray([vector.logits for vector in vectors], np.float32)  # (vectors, 2)
    difference = largest_difference(session, prompts, logits, manifest.pad_token_id, token_budget)
    return Conformance(len(vectors), difference, manifest.graph.tolerance)


def check_tokenizer(bundle: Bundle) -> None:
    """Tokenize the conformance pairs with the bundle's own prompt and compare the token ids.

    Raises:
        BundleError: a pair has other token ids than its vector.
    """
    prompt, vectors = bundle.manifest.prompt, bundle.conformance()
    tokenizer = prompt_tokenizer(bundle, prompt.prefix, prompt.suffix, bundle.manifest.max_length)
    pairs = [format_instruction(prompt.task, vector.query, vector.document) for vector in vectors]
    for index, (encoded, vector) in enumerate(zip(tokenizer.encode(pairs), vectors, strict=True)):
        if encoded.ids.tolist() != vector.input_ids:
            raise BundleError(
                f"{bundle.path / CONFORMANCE_FILE}: on this machine the texts of vector {index} have other token ids"
                " than they had at the export; copy the bundle again, or install another version of tokenizers."
            )


def largest_difference(
    session: Session,
    prompts: Sequence[TokenIds],
    logits: NDArray[np.float32],
    pad_token_id: int,
    token_budget: int = 2048,
) -> float:
    """How far a session's scores are at most from those that `logits`, (prompts, 2), mean."""
    scores = np.asarray(score_prompts(session, prompts, pad_token_id, token_budget))  # (prompts,)
    return float(np.abs(scores - probability_of_yes(logits)).max(initial=0.0))
