"""torch and transformers in float32, one prompt after the other: what all scores are compared with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .checkpoint import torch_model

TITLE = "torch float32"


class Engine:
    """The checkpoint as transformers loads it."""

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Load it."""
        self.model, self.answers = torch_model(folder, torch.float32, threads)

    @torch.inference_mode()
    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """Whole prompts."""
        rows = (self.model(torch.from_numpy(ids[None]).long(), logits_to_keep=1).logits[0, -1] for ids in prompts)
        return torch.stack([row[self.answers] for row in rows]).numpy()
