"""onnxruntime-genai: int8 weights with a scale for every 32, int8 activations; the shared tokens are run once.

One row at a time: rows of a batch would each run the shared tokens.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime_genai as genai
from numpy.typing import NDArray
from transformers import AutoTokenizer

from .checkpoint import answers_of, checkpoint_in

TITLE = f"onnxruntime-genai {genai.__version__} int8"
_NEWER = Path(sys.prefix) / "newer"  # its builder wants a newer transformers than the others take
_MOST_TOKENS = 1024


class Engine:
    """The checkpoint, converted."""

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Convert it once, load it, and run the prefix."""
        converted = folder / "qwen3-0.6b-random-genai"
        if not converted.exists():
            build(checkpoint_in(folder), converted)
        self.answers, self.prefix = answers_of(AutoTokenizer.from_pretrained(checkpoint_in(folder))), len(prefix)
        genai.disable_telemetry_events()
        config = genai.Config(str(converted))
        options = {"intra_op_num_threads": threads}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
        self.model = genai.Model(config)
        params = genai.GeneratorParams(self.model)
        params.set_search_options(max_length=_MOST_TOKENS, batch_size=1)
        self.generator = genai.Generator(self.model, params)
        self.generator.append_tokens(np.array(prefix, np.int32))

    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """The query after the prefix once, then a row after the other."""
        self.generator.rewind_to(self.prefix)
        self.generator.append_tokens(prompts[0][self.prefix : shared])
        found = []
        for ids in prompts:
            self.generator.append_tokens(ids[shared:])
            found.append(self.generator.get_output("logits")[0, -1, self.answers])
            self.generator.rewind_to(shared)
        return np.array(found, np.float32)


def build(checkpoint: Path, converted: Path) -> None:
    """By its own model builder, with logits of the last token alone."""
    part = converted.with_suffix(".part")
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(checkpoint), "-o", str(part)]
    command += ["-p", "int8", "-e", "cpu", "-c", str(part / "cache")]
    command += ["--extra_options", "prune_lm_head=true", "accuracy_level=4"]
    newer = {**os.environ, "PYTHONPATH": str(_NEWER)}
    subprocess.run(command, env=newer, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part.rename(converted)
