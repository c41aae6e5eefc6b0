"""This package, from token ids to logits; nothing is left from one call for the next."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import open_bundle
from aatm_onnx.runtime.scoring import prompt_logits
from aatm_onnx.runtime.session import open_session

TITLE = "this package, int8"


class Engine:
    """A bundle, which carries its prompts' prefix."""

    precision = "int8"

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Open it."""
        bundle = open_bundle(folder / f"qwen3-0.6b-random-{self.precision}")
        self.session, self.pad = open_session(bundle, "cpu", threads), bundle.manifest.pad_token_id

    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """It finds for itself what is shared."""
        return prompt_logits(self.session, prompts, self.pad)
