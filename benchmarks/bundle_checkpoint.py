"""A checkpoint out of a bundle's own float weights: the default model can be measured with nothing but itself."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from aatm_onnx_export.checkpoint.config import tensor_shapes
from aatm_onnx_export.export import export_checkpoint
from make_checkpoint import config_of
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import save_file

from aatm_onnx.bundle import Bundle, open_bundle
from aatm_onnx.runtime.session import open_session
from aatm_onnx.runtime.verify import largest_difference

_DEFAULT = Path(__file__).resolve().parent.parent / "models" / "default"


def default_checkpoint(folder: Path) -> Path:
    """The default model's checkpoint, made from its bundle and proved against that bundle's conformance vectors."""
    bundle = open_bundle(_DEFAULT)
    write_checkpoint_of(bundle, folder / "default")
    remade = export_checkpoint(str(folder / "default"), folder / "remade")
    vectors, session = bundle.conformance(), open_session(remade, "cpu")
    prompts = [np.asarray(vector.input_ids, np.int32) for vector in vectors]
    logits = np.asarray([vector.logits for vector in vectors], np.float32)  # (vectors, 2)
    difference = largest_difference(session, prompts, logits, bundle.manifest.pad_token_id)
    if not difference <= bundle.manifest.graph.tolerance:
        raise SystemExit(f"{bundle.path} could not be made a checkpoint again: scores differ by {difference:.2g}.")
    return folder / "default"


def write_checkpoint_of(bundle: Bundle, folder: Path) -> None:
    """Undo an export of a fused graph with float weights.

    The graph has only two rows of lm_head, "no" and "yes", so the checkpoint gets one that is zero in all others.
    What a bundle does not say, the norms' epsilon, is that of all Qwen3 rerankers: whether it is right, the bundle's
    conformance vectors tell.
    """
    manifest = bundle.manifest
    config = replace(manifest.config, tie_word_embeddings=False)
    model = onnx.load(str(bundle.graph_path), load_external_data=True)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    shapes = tensor_shapes(config)
    lm_head = np.zeros(shapes["lm_head.weight"], np.float32)
    lm_head[[manifest.no_token_id, manifest.yes_token_id]] = stored["lm_head.no_yes"].T
    folder.mkdir(parents=True)
    weights = {}
    for name in _names(bundle):
        if name in stored:
            weight = _as_in_checkpoint(name, stored[name])
            weights[name] = _with_zeros(weight, shapes[name], _place(model.graph, stored, name))
        else:  # of an MLP that is zero, and the norm before it
            weights[name] = (np.zeros if name.endswith("proj.weight") else np.ones)(shapes[name], np.float32)
    save_file(weights | {"lm_head.weight": lm_head}, folder / "model.safetensors", {"format": "pt"})
    settings = {"pad_token_id": manifest.pad_token_id, "rope_theta": _rotary_base(model.graph, stored)}
    (folder / "config.json").write_text(json.dumps(config_of(config) | settings))
    shutil.copy(bundle.tokenizer_path, folder)


def _names(bundle: Bundle) -> Iterator[str]:
    return (name for name in tensor_shapes(bundle.manifest.config) if name != "lm_head.weight")


def _with_zeros(weight: NDArray[np.float32], shape: tuple[int, ...], place: tuple[int, int]) -> NDArray[np.float32]:
    """A weight whose zeros the export left out. Heads and channels that are gone come last: their order is free."""
    if weight.shape == shape:
        return weight
    whole = np.zeros(shape, np.float32)
    whole[place[0] : place[0] + weight.shape[0], place[1] : place[1] + weight.shape[1]] = weight
    return whole


def _place(graph: onnx.GraphProto, stored: dict[str, NDArray[Any]], name: str) -> tuple[int, int]:
    """The first row and column, (out, in), of a weight's block: what stands before it is padded, and cut off."""
    makes = _makers(graph)
    takes = {value: node for node in graph.node for value in node.input}
    used = takes[name]
    if used.op_type == "Cast":  # float16 in the file
        used = takes[used.output[0]]
    after = takes[used.output[0]]
    if used.op_type == "Gather":  # the embedding
        after = takes[after.output[0]] if after.op_type == "Cast" else after
        return 0, int(stored[after.input[1]][0]) if after.op_type == "Pad" else 0
    before = makes[used.input[0]]
    return (
        int(stored[after.input[1]][0]) if after.op_type == "Pad" else 0,
        int(stored[before.input[1]][0]) if before.op_type == "Slice" else 0,
    )


def _makers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each value."""
    return {output: node for node in graph.node for output in node.output}


def _rotary_base(graph: onnx.GraphProto, stored: dict[str, NDArray[Any]]) -> float:
    """Positions times frequencies are the angles; the second frequency is the base to the power of -2 / head_dim."""
    makes = _makers(graph)
    angles = makes[next(node for node in graph.node if node.op_type == "Cos").input[0]]
    (frequencies,) = (stored[name] for name in angles.input if name in stored)
    return float(frequencies[1]) ** -frequencies.size


def _as_in_checkpoint(name: str, weight: NDArray[np.floating]) -> NDArray[np.float32]:
    """Linear weights lie transposed in the graph, and queries' norms bring attention's 1 / sqrt(head_dim) along."""
    if name.endswith("proj.weight"):
        weight = weight.T
    if name.endswith("q_norm.weight"):
        weight = weight * np.sqrt(len(weight))
    return np.ascontiguousarray(weight, np.float32)
