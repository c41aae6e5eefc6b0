"""The checkpoint that every engine of transformers starts from, and the ids of its answers."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase


def checkpoint_in(folder: Path) -> Path:
    """Where `bench.prepare` put it."""
    return folder / "qwen3-0.6b-random"


def answers_of(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids of "no" and "yes"."""
    return [tokenizer.convert_tokens_to_ids(word) for word in ("no", "yes")]


def torch_model(folder: Path, dtype: torch.dtype, threads: int) -> tuple[PreTrainedModel, list[int]]:
    """The model as transformers loads it, and the ids of its answers."""
    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(checkpoint_in(folder), dtype=dtype).eval()
    return model, answers_of(AutoTokenizer.from_pretrained(checkpoint_in(folder)))
