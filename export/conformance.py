"""Conformance vectors: whole prompts with the logits that they must give, and the proof by them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aatm_onnx.bundle import ConformanceVector, Prompt
from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import PromptTokenizer, TokenIds, format_instruction, left_pad
from aatm_onnx.scoring import probability_of_yes
from aatm_onnx.session import Session
from aatm_onnx.verify import scores_of

from .checkpoint import Checkpoint
from .texts import PAIRS

# Rows per batch of the proof.
_BATCH = 6


def conformance_prompts(tokenizer: Path, prompt: Prompt, max_length: int) -> list[TokenIds]:
    """The token ids of every pair of `texts.PAIRS` in this prompt."""
    encoder = PromptTokenizer(tokenizer, prompt.prefix_ids, prompt.suffix_ids, max_length)
    return list(encoder.encode([format_instruction(prompt.task, query, document) for query, document in PAIRS]))


def check_numbers(checkpoint: Checkpoint, vectors: Sequence[ConformanceVector]) -> None:
    """Refuse logits that are no numbers.

    Raises:
        ExportError: some are not.
    """
    if not np.isfinite([vector.logits for vector in vectors]).all():
        raise ExportError(
            f"{checkpoint.source.checkpoint} gives scores that are not numbers: its weights are damaged (download it"
            " again), or too large for this precision."
        )


def write_vectors(file: Path, vectors: Sequence[ConformanceVector]) -> None:
    """Write the vectors as a JSON list, one vector a line."""
    lines = (json.dumps(vars(vector)) for vector in vectors)
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


def score_difference(session: Session, vectors: Sequence[ConformanceVector], pad_token_id: int) -> float:
    """The largest difference of a session's scores from the vectors', in left-padded batches of mixed lengths.

    Returns:
        The difference; infinite if a score is not a number.
    """
    by_length = sorted(vectors, key=lambda vector: len(vector.input_ids))
    # Taken from both ends in turn, every batch mixes lengths, but few rows are padded to the longest prompts.
    mixed = [by_length[-1 - rank // 2 if rank % 2 else rank // 2] for rank in range(len(by_length))]
    worst = 0.0
    for start in range(0, len(mixed), _BATCH):
        batch = mixed[start : start + _BATCH]
        prompts = [np.array(vector.input_ids, np.int32) for vector in batch]
        logits = session.logits(*left_pad(prompts, pad_token_id))  # (batch, 2)
        difference = np.abs(probability_of_yes(logits) - scores_of(batch)).max()
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf)))
    return worst
