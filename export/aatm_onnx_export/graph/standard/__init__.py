"""The standard graph: plain ONNX operators for any runtime, made by optimum's exporter from transformers' own Qwen3.

fp16 stores the weights as float16 and computes in float32 after a Cast (`graph_file.store_as_float16` says why).
"""

import gc
from collections.abc import Callable
from pathlib import Path

from aatm_onnx.bundle import GRAPH_FILE

from ...checkpoint import Checkpoint, parameter_count
from ...quiet import quiet


def write_graph(
    checkpoint: Checkpoint, folder: Path, precision: str, built: Callable[[float], object] = lambda fraction: None
) -> None:
    """Write `model.onnx` (and `model.onnx.data` where it passes 2 GB) into `folder`.

    The graph takes input_ids and attention_mask, (batch, sequence) int64, left-padded, and gives logits (batch, 2)
    float32, no before yes. optimum's exporter says nothing on its way, so `built` is not called.
    """
    from .graph_file import name_external_data, store_as_float16

    with quiet():
        _trace(checkpoint, folder / GRAPH_FILE)
    gc.collect()  # the torch model is in reference cycles; its weights must go before they are loaded again
    name_external_data(folder / GRAPH_FILE)
    if precision == "fp16":
        store_as_float16(folder / GRAPH_FILE)


def _trace(checkpoint: Checkpoint, file: Path) -> None:
    from optimum.exporters.onnx import export

    from ...checkpoint.torch_model import load_model
    from .model import YesNoModel
    from .optimum_config import YesNoOnnxConfig

    model = YesNoModel(load_model(checkpoint), checkpoint.no_token_id, checkpoint.yes_token_id)
    # Our axes are right by construction; optimum's check of them would load the whole graph once more.
    export(model, YesNoOnnxConfig(model.config), file, disable_dynamic_axes_fix=True)


def disk_bytes(checkpoint: Checkpoint, precision: str) -> int:
    """Say what is on disk at most: the float32 weights twice, while optimum joins torch's many files in one."""
    return 2 * 4 * parameter_count(checkpoint)
