"""How weights lie in an ONNX file: external data in one file of our naming, and float16 weights in a float32 graph."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import external_data_helper, helper, numpy_helper

from ..weight_file import DATA_SUFFIX, as_type

# Protobuf's limit is 2 GiB; what is left is for nodes and names.
INLINE_BYTES = 2**31 - 2**24
# Below this, tensors (norms, RoPE frequencies, lm_head's two rows) stay float32: they weigh nothing.
HALF_FROM_ELEMENTS = 1 << 12


def name_external_data(file: Path) -> None:
    """Rename the data file that optimum wrote beside the graph (`model.onnx_data`), if any, to `model.onnx.data`."""
    data = file.with_name(file.name + "_data")
    if not data.exists():
        return
    model = onnx.load(str(file), load_external_data=False)
    for tensor in _tensors(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = file.name + DATA_SUFFIX
    data.rename(file.with_name(file.name + DATA_SUFFIX))
    file.write_bytes(model.SerializeToString())


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Everything that may lie outside the graph's own file: weights, and constants of a certain size."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def store_as_float16(file: Path) -> None:
    """Store a float32 graph's weights as float16, each cast to float32 where it is used.

    The alternative is float16 arithmetic throughout. ONNX Runtime's CPU provider has no float16 kernels for it: it
    casts around its float32 ones, which gains no time and rounds the activations too (4 to 7 times the error:
    docs/decisions/float16.md). Where float16 is computed in earnest, the squares in Qwen3's norms pass 65504 wherever a
    channel passes 256, and its first token has channels in the thousands (onnxruntime issue 29849). Here ONNX Runtime
    folds the casts of weights while loading; an embedding is cast after its Gather, so its table stays float16.

    Raises:
        ExportError: a weight is too large for float16.
    """
    model = onnx.load(str(file), load_external_data=False)
    halved = {}  # name in float32 -> name in float16
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            external_data_helper.load_external_data_for_tensor(tensor, str(file.parent))
            tensor.data_location = onnx.TensorProto.DEFAULT
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= HALF_FROM_ELEMENTS:
            single = tensor.name
            _halve(tensor)
            halved[single] = tensor.name
    _insert_casts(model.graph, halved)
    _save(model, file)


def _halve(tensor: onnx.TensorProto) -> None:
    """Make a float32 tensor a float16 one called `<name>_fp16`."""
    half = as_type(numpy_helper.to_array(tensor), np.float16, tensor.name)
    tensor.CopyFrom(numpy_helper.from_array(half, f"{tensor.name}_fp16"))


def _insert_casts(graph: onnx.GraphProto, halved: dict[str, str]) -> None:
    """Give every node its weights in float32 again."""
    old = list(graph.node)
    gathered = {node.input[0] for node in old if node.op_type == "Gather"} & halved.keys()
    new = [_cast(half, single) for single, half in halved.items() if single not in gathered]
    for node in old:
        new.append(node)
        if node.op_type == "Gather" and node.input[0] in gathered:
            (rows,) = node.output
            node.input[0], node.output[0] = halved[node.input[0]], f"{rows}_fp16"
            new.append(_cast(node.output[0], rows))
    del graph.node[:]
    graph.node.extend(new)


def _cast(half: str, single: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [half], [single], to=onnx.TensorProto.FLOAT)


def _save(model: onnx.ModelProto, file: Path) -> None:
    """Write the graph, with its data beside it where it passes 2 GB."""
    data = file.with_name(file.name + DATA_SUFFIX)
    data.unlink(missing_ok=True)
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) <= INLINE_BYTES:
        file.write_bytes(model.SerializeToString())
    else:
        onnx.save(model, str(file), save_as_external_data=True, location=data.name, size_threshold=HALF_FROM_ELEMENTS)
