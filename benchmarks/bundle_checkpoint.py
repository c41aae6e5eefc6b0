"""A checkpoint out of a bundle's own float weights: the default model can be measured with nothing but itself."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
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

Stored = dict[str, NDArray[Any]]  # a graph's weights and constants
_DEFAULT = Path(__file__).resolve().parent.parent / "models" / "default"


@dataclass(frozen=True)
class Nodes:
    """A graph's nodes: which one makes each value, and one that takes it."""

    makes: dict[str, onnx.NodeProto]
    takes: dict[str, onnx.NodeProto]

    @staticmethod
    def of(graph: onnx.GraphProto) -> "Nodes":
        """A graph's."""
        return Nodes(
            {value: node for node in graph.node for value in node.output},
            {value: node for node in graph.node for value in node.input},
        )


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
    nodes = Nodes.of(model.graph)
    shapes = tensor_shapes(config)
    lm_head = np.zeros(shapes["lm_head.weight"], np.float32)
    lm_head[[manifest.no_token_id, manifest.yes_token_id]] = stored["lm_head.no_yes"].T
    folder.mkdir(parents=True)
    weights = {}
    for name in _names(bundle):
        if name.endswith("proj.weight"):
            weights[name] = _linear(nodes, stored, name, shapes[name])
        elif name.endswith("embed_tokens.weight"):
            weights[name] = _embedding(nodes, stored, name, shapes[name])
        elif name in stored:
            weights[name] = _as_in_checkpoint(name, stored[name])
        else:  # the norm before an MLP that is zero
            weights[name] = np.ones(shapes[name], np.float32)
    save_file(weights | {"lm_head.weight": lm_head}, folder / "model.safetensors", {"format": "pt"})
    settings = {"pad_token_id": manifest.pad_token_id, "rope_theta": _rotary_base(nodes, stored)}
    (folder / "config.json").write_text(json.dumps(config_of(config) | settings))
    shutil.copy(bundle.tokenizer_path, folder)


def _names(bundle: Bundle) -> Iterator[str]:
    return (name for name in tensor_shapes(bundle.manifest.config) if name != "lm_head.weight")


def _linear(nodes: Nodes, stored: Stored, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A weight (out, in) with the zeros that the export left out; one that is not there is an MLP's that is zero.

    Heads and channels that are gone come last: their order is free.
    """
    whole = np.zeros(shape, np.float32)
    if name in stored:
        product = _taker_of_weight(nodes, name)
        block, columns = stored[name].T, product.input[0]
    elif f"{name}.0" in stored:
        block, columns, product = _gathered(nodes, stored, name, shape[1])
    else:
        return whole
    places = _columns(nodes, stored, columns)
    places = np.arange(block.shape[1]) if places is None else places
    first = _padded_before(stored, nodes.takes[product.output[0]])
    whole[first : first + len(block), places] = block[:, : len(places)]
    return whole


def _gathered(nodes: Nodes, stored: Stored, name: str, inputs: int) -> tuple[NDArray[np.float32], str, onnx.NodeProto]:
    """A weight whose outputs are one or two inputs each; what they were gathered from, and the node that gives them."""
    factors = sorted(factor for factor in stored if factor.startswith(f"{name}."))
    terms = [_taker_of_weight(nodes, factor) for factor in factors]
    gathers = [nodes.makes[term.input[0]] for term in terms]
    block = np.zeros((len(stored[factors[0]]), inputs), np.float32)
    for factor, gather in zip(factors, gathers, strict=True):
        block[np.arange(len(block)), stored[gather.input[1]]] += stored[factor].ravel()
    node = terms[-1]
    while node.op_type != "Transpose":  # of two terms the sum is before it
        node = nodes.takes[node.output[0]]
    return block, nodes.makes[gathers[0].input[0]].input[0], node


def _padded_before(stored: Stored, node: onnx.NodeProto) -> int:
    """How many zeros a node puts before what it takes."""
    return int(stored[node.input[1]][0]) if node.op_type == "Pad" else 0


def _columns(nodes: Nodes, stored: Stored, value: str) -> NDArray[np.int64] | None:
    """Which columns were cut out, or None if none were."""
    node = nodes.makes[value]
    cuts = [nodes.makes[part] for part in node.input] if node.op_type == "Concat" else [node]
    if any(cut.op_type != "Slice" for cut in cuts):
        return None
    return np.concatenate([np.arange(*(int(stored[cut.input[end]][0]) for end in (1, 2))) for cut in cuts])


def _embedding(nodes: Nodes, stored: Stored, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The table, with the columns that no token has."""
    after = nodes.takes[nodes.takes[name].output[0]]
    if after.op_type == "Cast":  # float16 in the file
        after = nodes.takes[after.output[0]]
    first = _padded_before(stored, after)
    whole = np.zeros(shape, np.float32)
    whole[:, first : first + stored[name].shape[1]] = stored[name]
    return whole


def _taker_of_weight(nodes: Nodes, name: str) -> onnx.NodeProto:
    node = nodes.takes[name]
    return nodes.takes[node.output[0]] if node.op_type == "Cast" else node  # float16 in the file


def _rotary_base(nodes: Nodes, stored: Stored) -> float:
    """Positions times frequencies are the angles; the second frequency is the base to the power of -2 / head_dim."""
    angles = nodes.makes[next(node for node in nodes.makes.values() if node.op_type == "Cos").input[0]]
    (frequencies,) = (stored[name] for name in angles.input if name in stored)
    return float(frequencies[1]) ** -frequencies.size


def _as_in_checkpoint(name: str, weight: NDArray[np.floating]) -> NDArray[np.float32]:
    """Queries' norms bring attention's 1 / sqrt(head_dim) along."""
    if name.endswith("q_norm.weight"):
        weight = weight * np.sqrt(len(weight))
    return np.ascontiguousarray(weight, np.float32)
