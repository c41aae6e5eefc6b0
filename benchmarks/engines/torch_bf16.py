"""torch and transformers in bfloat16: the prefix runs once, its keys and values are expanded to all rows of a batch."""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

TITLE = f"torch {torch.__version__} bfloat16"
_ROW_TOKENS = 1024  # own tokens of a batch


class Engine:
    """The checkpoint as transformers loads it."""

    def __init__(self, folder: Path, threads: int, head: Sequence[int]) -> None:
        """Load it and run the head."""
        torch.set_num_threads(threads)
        checkpoint = folder / "qwen3-0.6b-random"
        self.model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16).eval()
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.answers = [tokenizer.convert_tokens_to_ids(word) for word in ("no", "yes")]
        self.head, self.head_cache = len(head), DynamicCache()
        with torch.inference_mode():
            self.model(torch.tensor([list(head)]), past_key_values=self.head_cache, logits_to_keep=1)

    @torch.inference_mode()
    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """The query after the head once, then rows of one length."""
        cache = copy.deepcopy(self.head_cache)
        query = torch.from_numpy(prompts[0][None, self.head : shared]).long()
        self.model(query, past_key_values=cache, logits_to_keep=1)
        own = torch.from_numpy(np.stack(prompts)[:, shared:]).long()  # (prompts, own)
        rows = max(1, _ROW_TOKENS // own.shape[1])
        return torch.cat([self._batch(batch, cache) for batch in own.split(rows)]).numpy()

    def _batch(self, own: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        expanded = copy.deepcopy(cache)
        expanded.batch_repeat_interleave(len(own))
        logits = self.model(own, past_key_values=expanded, logits_to_keep=1).logits[:, -1]
        return logits[:, self.answers].float()
