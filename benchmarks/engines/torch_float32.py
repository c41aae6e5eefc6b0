"""torch and transformers in float32, one prompt after the other: what all scores are compared with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

TITLE = "torch float32"


class Engine:
    """The checkpoint as transformers loads it."""

    def __init__(self, folder: Path, threads: int, head: Sequence[int]) -> None:
        """Load it."""
        torch.set_num_threads(threads)
        checkpoint = folder / "qwen3-0.6b-random"
        self.model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.answers = [tokenizer.convert_tokens_to_ids(word) for word in ("no", "yes")]

    @torch.inference_mode()
    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """Whole prompts."""
        rows = (self.model(torch.from_numpy(ids[None]).long(), logits_to_keep=1).logits[0, -1] for ids in prompts)
        return torch.stack([row[self.answers] for row in rows]).numpy()
