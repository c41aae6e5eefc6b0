"""A checkpoint with massive activations: some residual channels of the first token a thousand times the median.

Qwen3-0.6B and most language models have them (Sun et al., Massive Activations in Large Language Models, 2024). Here
they are put into the first token's embedding, and so are in the residual stream from the first layer to the last.
"""

import shutil
from pathlib import Path

import numpy as np
from aatm_onnx_export.checkpoint.safetensors import read_tensors

from aatm_onnx.atomic import move_folder, partial_folder, remove_leftovers

FIRST_TOKEN = "<|endoftext|>"  # which no prompt contains
_FIRST_TOKEN_ID = 151_643
_CHANNELS = (3, 97, 511, 800)
_TIMES_MEDIAN = 1000.0


def add_massive_activations(source: Path, target: Path) -> None:
    """Copy a checkpoint with bfloat16 weights and overwrite four channels of one token's embedding; all or nothing."""
    remove_leftovers(target)
    with partial_folder(target) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)
        _overwrite(partial)
        move_folder(partial, target)


def _overwrite(checkpoint: Path) -> None:
    embedding = read_tensors(checkpoint)["model.embed_tokens.weight"]
    hidden = embedding.shape[1]
    with embedding.file.open("r+b") as stream:
        start = embedding.start + 2 * hidden * _FIRST_TOKEN_ID
        stream.seek(start)
        row = np.fromfile(stream, "<u2", hidden)
        values = (row.astype(np.uint32) << 16).view(np.float32)
        values[list(_CHANNELS)] = _TIMES_MEDIAN * np.median(np.abs(values)) * np.sign(values[list(_CHANNELS)])
        stream.seek(start)
        stream.write((values.view(np.uint32) >> 16).astype("<u2").tobytes())
