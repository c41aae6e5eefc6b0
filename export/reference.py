"""The truth that an export is measured against: transformers in float32."""

from collections.abc import Sequence

from aatm_onnx.bundle import ConformanceVector
from aatm_onnx.prompt import TokenIds

from .checkpoint import Checkpoint
from .quiet import quiet


def float32_logits(checkpoint: Checkpoint, prompts: Sequence[TokenIds]) -> list[ConformanceVector]:
    """Run whole prompts one by one, unpadded, through transformers' own Qwen3 in float32 on the CPU.

    Returns:
        Each prompt with its (no, yes) logits, in order.
    """
    import torch

    from .yes_no_model import load_model

    with quiet(), torch.inference_mode():
        model = load_model(checkpoint)
        answers = [checkpoint.no_token_id, checkpoint.yes_token_id]
        vectors = []
        for prompt in prompts:
            input_ids = torch.from_numpy(prompt).long()[None]  # (1, seq)
            logits = model(input_ids=input_ids, use_cache=False, logits_to_keep=1).logits[0, -1, answers]  # (2,)
            vectors.append(ConformanceVector(prompt.tolist(), logits.tolist()))
        return vectors
