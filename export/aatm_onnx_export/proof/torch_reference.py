"""The truth that an export is measured against: transformers in float32."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.prompt import TokenIds

from ..checkpoint import Checkpoint
from ..quiet import quiet

_TOKENS = 2048  # of a batch


def float32_logits(
    checkpoint: Checkpoint, prompts: Sequence[TokenIds], done: Callable[[float], object] = lambda fraction: None
) -> NDArray[np.float32]:
    """Run whole prompts, those of equal length together and none padded, through transformers' Qwen3 in float32.

    Args:
        checkpoint: the model.
        prompts: token ids.
        done: called after each batch, with the fraction of prompts that is done.

    Returns:
        The (no, yes) logits of each prompt, in order, (prompts, 2).
    """
    import torch

    from ..checkpoint.torch_model import load_model

    with quiet(), torch.inference_mode():
        model = load_model(checkpoint)
        answers = [checkpoint.no_token_id, checkpoint.yes_token_id]
        logits = np.empty((len(prompts), 2), np.float32)
        count = 0
        for rows in _of_equal_length(prompts):
            input_ids = torch.from_numpy(np.stack([prompts[row] for row in rows])).long()  # (batch, seq)
            output = model(input_ids=input_ids, use_cache=False, logits_to_keep=1)
            logits[rows] = output.logits[:, -1, answers].numpy()
            count += len(rows)
            done(count / len(prompts))
        return logits


def _of_equal_length(prompts: Sequence[TokenIds]) -> Iterator[list[int]]:
    """Indices of prompts that fit one batch without padding."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        by_length[len(prompt)].append(row)
    for length, rows in by_length.items():
        most = max(1, _TOKENS // length)
        yield from (rows[start : start + most] for start in range(0, len(rows), most))
