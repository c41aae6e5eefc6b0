"""What this package is compared with: torch, as aatm runs it and as fast as torch goes on a CPU without sharing."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aatm_onnx.prompt import TokenIds

if TYPE_CHECKING:  # imported where it is used: it would count in the memory of processes that don't need it
    import torch
    from transformers import Qwen3ForCausalLM


def aatm_path(checkpoint: Path, prompts: list[TokenIds], threads: int) -> float:
    """Seconds for all prompts in one batch in float32, with logits for every position, as aatm 0.1.7 does."""
    model = _load(checkpoint, "float32", threads)
    return _seconds(lambda: model(**_batch(prompts)).logits[:, -1])


def bf16_path(checkpoint: Path, prompts: list[TokenIds], threads: int) -> float:
    """Seconds for all prompts in one batch in bfloat16, with logits for the last position only."""
    model = _load(checkpoint, "bfloat16", threads)
    return _seconds(lambda: model(**_batch(prompts), logits_to_keep=1, use_cache=False).logits)


def _load(checkpoint: Path, dtype: str, threads: int) -> "Qwen3ForCausalLM":
    import torch
    from transformers import Qwen3ForCausalLM

    torch.set_num_threads(threads)
    model: Qwen3ForCausalLM = Qwen3ForCausalLM.from_pretrained(checkpoint, dtype=dtype).eval()
    return model


def _batch(prompts: list[TokenIds]) -> "dict[str, torch.Tensor]":
    import torch

    input_ids = torch.from_numpy(np.stack(prompts).astype(np.int64))  # a workload's prompts are equally long
    return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}


def _seconds(run: Callable[[], object]) -> float:
    """The best of three runs."""
    import torch

    best = float("inf")
    with torch.inference_mode():
        for _ in range(3):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
    return best
