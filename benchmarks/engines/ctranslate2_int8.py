"""CTranslate2: int8 weights, float32 between; the shared tokens as a static prompt whose state it keeps."""

from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.converters import TransformersConverter
from numpy.typing import NDArray
from transformers import AutoTokenizer

from aatm_onnx.runtime.batches import ceil_div

from .checkpoint import answers_of, checkpoint_in

TITLE = f"CTranslate2 {ctranslate2.__version__} int8_float32"
_BATCH_TOKENS = 384  # own tokens of a batch, as this package's
_WORKERS = 2


class Engine:
    """The checkpoint, converted."""

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Convert it once, and load it twice: workers of one thread for many rows, one with all threads for few."""
        checkpoint, converted = checkpoint_in(folder), folder / "qwen3-0.6b-random-ctranslate2"
        if not converted.exists():
            TransformersConverter(str(checkpoint), low_cpu_mem_usage=True).convert(
                str(converted), quantization="int8_float32"
            )
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.answers = answers_of(self.tokenizer)
        self.one, self.many = (
            ctranslate2.Generator(str(converted), intra_threads=intra, inter_threads=inter, compute_type="int8_float32")
            for intra, inter in ((threads, 1), (1, _WORKERS))
        )

    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """Rows of one length, in as many batches as there are workers at least."""
        words = self.tokenizer.convert_ids_to_tokens
        own = [words(ids[shared:].tolist()) for ids in prompts]
        generator = self.many if len(own) >= 2 * _WORKERS else self.one
        rows = min(max(1, _BATCH_TOKENS // len(own[0])), ceil_div(len(own), _WORKERS))
        results = generator.generate_batch(
            own,
            max_batch_size=rows,
            max_length=1,
            static_prompt=words(prompts[0][:shared].tolist()),
            cache_static_prompt=True,
            include_prompt_in_result=False,
            return_logits_vocab=True,
        )
        return np.array([np.array(result.logits[0]).ravel()[self.answers] for result in results], np.float32)
