"""Conformance vectors: whole prompts with the logits that they must give, and the proof by them."""

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import ConformanceVector
from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import TokenIds, left_pad
from aatm_onnx.runtime.scoring import probability_of_yes
from aatm_onnx.runtime.session import Session

from ..checkpoint import Checkpoint
from .texts import conformance_pairs

# Rows per batch of the proof.
_BATCH = 6


def check_numbers(checkpoint: Checkpoint, logits: NDArray[np.float32]) -> None:
    """Refuse logits that are not numbers.

    Raises:
        ExportError: some are not.
    """
    if not np.isfinite(logits).all():
        raise ExportError(
            f"{checkpoint.source.checkpoint} gives scores that are not numbers: its weights are damaged (download it"
            " again), or too large for this precision."
        )


def write_vectors(
    file: Path,
    prompts: Sequence[TokenIds],
    logits: NDArray[np.float32],
    float_activation_logits: NDArray[np.float32] | None = None,
) -> None:
    """Write the conformance pairs with their prompts and logits, (prompts, 2), as a JSON list, one vector a line."""
    in_float = [None] * len(prompts) if float_activation_logits is None else float_activation_logits.tolist()
    vectors = (
        ConformanceVector(*pair, prompt.tolist(), *answers)
        for pair, prompt, *answers in zip(conformance_pairs(), prompts, logits.tolist(), in_float, strict=True)
    )
    given = ({name: value for name, value in vars(vector).items() if value is not None} for vector in vectors)
    lines = (json.dumps(vector, ensure_ascii=False) for vector in given)
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


def score_difference(
    session: Session, prompts: Sequence[TokenIds], logits: NDArray[np.float32], pad_token_id: int
) -> float:
    """Measure how far scores are at most from those that `logits`, (prompts, 2), mean, in batches of mixed lengths.

    Returns:
        The difference; infinite if a score is not a number.
    """
    by_length = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    # A short prompt, then a long one: every batch mixes lengths, but few rows are padded to the longest prompts.
    half = (len(by_length) + 1) // 2
    pairs = zip_longest(by_length[:half], reversed(by_length[half:]))
    mixed = [row for pair in pairs for row in pair if row is not None]
    worst = 0.0
    for start in range(0, len(mixed), _BATCH):
        batch = mixed[start : start + _BATCH]
        own = session.logits(*left_pad([prompts[row] for row in batch], pad_token_id))  # (batch, 2)
        difference = np.abs(probability_of_yes(own) - probability_of_yes(logits[batch])).max()
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf)))
    return worst
