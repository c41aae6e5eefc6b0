"""This package, from token ids to logits; one call leaves nothing for the next."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import open_bundle
from aatm_onnx.runtime.kv_cache import PrefixCache
from aatm_onnx.runtime.scoring import prompt_logits
from aatm_onnx.runtime.session import open_session

TITLE = "this package, int8"


class Engine:
    """A bundle. In int8 it carries its prompts' prefix; in float a reranker keeps it from its first call on."""

    precision = "int8"

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Open it and run the prefix, as far as the bundle lacks it."""
        bundle = open_bundle(folder / f"qwen3-0.6b-random-{self.precision}")
        self.session, self.pad = open_session(bundle, "cpu", threads), bundle.manifest.pad_token_id
        assert self.session.prefix is not None
        self.prefix = self.session.prefix
        if len(self.prefix.ids) < len(prefix):
            self.prefix = self.session.extend(self.prefix, np.array(prefix, np.int32))

    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """It finds for itself what is shared."""
        cache = PrefixCache(len(self.prefix.ids))
        cache.add(self.prefix)
        return prompt_logits(self.session, prompts, self.pad, cache=cache)
