"""torch and transformers in bfloat16: the prefix runs once, its keys and values are expanded to all rows of a batch."""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from .checkpoint import torch_model

TITLE = f"torch {torch.__version__.partition('+')[0]} bfloat16"
_ROW_TOKENS = 1024  # own tokens of a batch


class Engine:
    """The checkpoint as transformers loads it."""

    dtype = torch.bfloat16

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Load it and run the prefix."""
        self.model, self.answers = torch_model(folder, self.dtype, threads)
        self.prefix, self.prefix_cache = len(prefix), DynamicCache()
        with torch.inference_mode():
            self.model(torch.tensor([list(prefix)]), past_key_values=self.prefix_cache, logits_to_keep=1)

    @torch.inference_mode()
    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """The query after the prefix once, then rows of one length."""
        cache = copy.deepcopy(self.prefix_cache)
        query = torch.from_numpy(prompts[0][None, self.prefix : shared]).long()
        self.model(query, past_key_values=cache, logits_to_keep=1)
        own = torch.from_numpy(np.stack(prompts)[:, shared:]).long()  # (prompts, own)
        rows = max(1, _ROW_TOKENS // own.shape[1])
        return torch.cat([self._batch(batch, cache) for batch in own.split(rows)]).numpy()

    def _batch(self, own: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        expanded = copy.deepcopy(cache)
        expanded.batch_repeat_interleave(len(own))
        logits = self.model(own, past_key_values=expanded, logits_to_keep=1).logits[:, -1]
        return logits[:, self.answers].float()
