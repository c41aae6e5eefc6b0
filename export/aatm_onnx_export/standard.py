"""The standard graph: plain ONNX operators for any runtime, made by optimum's exporter from transformers' own Qwen3.

fp16 stores the weights as float16 and computes in float32 after a Cast (`graph_file.store_as_float16` says why).
"""

import gc
from pathlib import Path

from aatm_onnx.bundle import GRAPH_FILE

from .checkpoint import Checkpoint
from .graphs import GraphKind, parameter_count
from .quiet import quiet
from .reference import float32_logits


def write_graph(checkpoint: Checkpoint, folder: Path, precision: str) -> None:
    """Write `model.onnx` (and `model.onnx.data` where it passes 2 GB) into `folder`.

    The graph takes input_ids and attention_mask, (batch, sequence) int64, left-padded, and gives logits (batch, 2)
    float32, no before yes.
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

    from .optimum_config import YesNoOnnxConfig
    from .yes_no_model import YesNoModel, load_model

    model = YesNoModel(load_model(checkpoint), checkpoint.no_token_id, checkpoint.yes_token_id)
    # Our axes are right by construction; optimum's check of them would load the whole graph once more.
    export(model, YesNoOnnxConfig(model.config), file, disable_dynamic_axes_fix=True)


def disk_bytes(checkpoint: Checkpoint, precision: str) -> int:
    """The most on disk at once: the float32 weights twice, while optimum joins torch's many files in one."""
    return 2 * 4 * parameter_count(checkpoint)


STANDARD = GraphKind(
    name="standard",
    tolerances={"fp32": 1e-5, "fp16": 5e-3},
    min_taus={},
    requires=("torch", "transformers", "optimum.exporters.onnx", "onnx", "onnxruntime", "huggingface_hub"),
    tools=("torch", "transformers", "optimum", "optimum-onnx", "onnx"),
    reference=float32_logits,
    write=write_graph,
    disk_bytes=disk_bytes,
)
