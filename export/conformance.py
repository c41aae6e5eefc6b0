"""Conformance vectors: whole prompts with the logits that float32 transformers gives, and the proof by them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import Bundle, ConformanceVector, Prompt
from aatm_onnx.prompt import PromptTokenizer, TokenIds, format_instruction, left_pad
from aatm_onnx.session import open_session

from .texts import PAIRS

# Rows per batch of the proof; prompts are dealt out so that each batch mixes short with long.
_BATCH = 6


def conformance_prompts(tokenizer: Path, prompt: Prompt, max_length: int) -> list[TokenIds]:
    """The token ids of every pair of `texts.PAIRS` in this prompt."""
    encoder = PromptTokenizer(tokenizer, prompt.prefix_ids, prompt.suffix_ids, max_length)
    return list(encoder.encode([format_instruction(prompt.task, query, document) for query, document in PAIRS]))


def write_vectors(file: Path, vectors: Sequence[ConformanceVector]) -> None:
    """Write the vectors as a JSON list, one vector a line."""
    lines = (json.dumps(vars(vector)) for vector in vectors)
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


def score_difference(bundle: Bundle, vectors: Sequence[ConformanceVector]) -> float:
    """The largest difference of a bundle's scores from those of the vectors' logits, in mixed-length left-padded batches.

    Returns:
        The difference; infinite if a score is not a number.
    """
    session = open_session(bundle, "cpu")
    by_length = sorted(vectors, key=lambda vector: len(vector.input_ids))
    batches = -(-len(vectors) // _BATCH)
    worst = 0.0
    for batch in (by_length[start::batches] for start in range(batches)):
        prompts = [np.array(vector.input_ids, np.int32) for vector in batch]
        logits = session.logits(*left_pad(prompts, bundle.manifest.pad_token_id))  # (batch, 2)
        expected = np.array([vector.logits for vector in batch])  # (batch, 2)
        difference = np.abs(scores(logits) - scores(expected)).max()
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf)))
    return worst


def scores(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """(no, yes) logits, shape (batch, 2), to probabilities of "yes", shape (batch,)."""
    margin = logits[:, 1].astype(np.float64) - logits[:, 0]
    return np.exp(-np.logaddexp(0.0, -margin))  # sigmoid, without overflow
