"""Writing an ONNX graph node by node, its large constants streamed to one external data file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from aatm_onnx.errors import ExportError

OPSET = 21  # QuantizeLinear with one scale per row of a float tensor needs 13; 21 is what ONNX Runtime 1.20 knows
MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators

_INLINE_BYTES = 1024  # smaller constants stay in the graph, where shape inference and the optimizer can see them
_PAGE = 4096  # external tensors start on a page, so that ONNX Runtime can map them

_ONNX_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.bool_): TensorProto.BOOL,
}


class WeightFile:
    """The external data of one graph, or of several that differ in few weights: none is written twice."""

    def __init__(self, graph: Path) -> None:
        """Start `graph`.data, beside the graph's own file."""
        self._stream = graph.with_name(graph.name + ".data").open("wb")
        self._written: dict[tuple[str, int, tuple[int, ...]], onnx.TensorProto] = {}

    def tensor(
        self, name: str, dtype: npt.DTypeLike, shape: Sequence[int], slabs: Iterable[npt.NDArray[Any]]
    ) -> onnx.TensorProto:
        """Where a weight lies in the file; its slabs are taken only if it is not there yet, in this type and shape."""
        data_type, dims = _ONNX_TYPES[np.dtype(dtype)], tuple(shape)
        if (name, data_type, dims) not in self._written:
            offset, length = self._append(name, np.dtype(dtype), dims, slabs)
            tensor = onnx.TensorProto(name=name, data_type=data_type, dims=dims)
            for key, value in (("location", Path(self._stream.name).name), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            tensor.data_location = TensorProto.EXTERNAL
            self._written[name, data_type, dims] = tensor
        return self._written[name, data_type, dims]

    def _append(
        self, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...], slabs: Iterable[npt.NDArray[Any]]
    ) -> tuple[int, int]:
        """Write slabs at the next page; where they begin, and how many bytes they are."""
        offset = -(-self._stream.tell() // _PAGE) * _PAGE
        self._stream.seek(offset)
        for slab in slabs:
            self._stream.write(as_type(slab, dtype, name).data)
        length = self._stream.tell() - offset
        expected = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if length != expected:
            raise ValueError(f"{name}: {length} bytes were written where {shape} needs {expected}")
        return offset, length

    def flush(self) -> None:
        """Bring to the disk what was written."""
        self._stream.flush()

    def close(self) -> None:
        """No graph comes any more."""
        self._stream.close()


def as_type(values: npt.NDArray[Any], dtype: npt.DTypeLike, name: str) -> npt.NDArray[Any]:
    """The values in a type that can hold them.

    Raises:
        ExportError: float16 can't.
    """
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(values, dtype)
    if dtype == np.float16 and not np.isfinite(converted).all():
        raise ExportError(f"{name} has weights beyond float16's 65504; export with --precision fp32.")
    return converted


class OnnxGraph:
    """A graph under construction. A value is the name of an ONNX tensor; methods that make one return its name."""

    def __init__(self, file: Path, weights: WeightFile) -> None:
        """Start a graph that `save` will write to `file`, with its constants in `weights`."""
        self._file, self._weights = file, weights
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> str:
        """Declare an input. Every input is required: not every binding of ONNX Runtime can feed an optional one."""
        self._inputs.append(helper.make_tensor_value_info(name, _ONNX_TYPES[np.dtype(dtype)], shape))
        return name

    def output(self, name: str, value: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> None:
        """Declare an output that is called `name` and has the value `value`."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, _ONNX_TYPES[np.dtype(dtype)], shape))

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        return self.nodes(operator, *inputs, outputs=1, domain=domain, **attributes)[0]

    def nodes(self, operator: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        names = [f"{operator}_{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, name=names[0], domain=domain, **attributes))
        return names

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """A small constant kept in the graph; equal ones are shared."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"constant_{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def weight(self, name: str, array: npt.NDArray[Any]) -> str:
        """A weight, written to the data file at once unless it is tiny."""
        if array.nbytes <= _INLINE_BYTES:
            self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
            return name
        return self.streamed_weight(name, array.dtype, array.shape, [array])

    def streamed_weight(
        self, name: str, dtype: npt.DTypeLike, shape: Sequence[int], slabs: Iterable[npt.NDArray[Any]]
    ) -> str:
        """A weight that arrives as slabs along its first axis, so that it is never in memory whole.

        Slabs made by a generator are not made at all if the weight file has them from another graph.
        """
        self._initializers.append(self._weights.tensor(name, dtype, shape, slabs))
        return name

    @staticmethod
    def onnx_type(dtype: npt.DTypeLike) -> int:
        """ONNX's number for a dtype, as Cast's `to` wants it."""
        return _ONNX_TYPES[np.dtype(dtype)]

    def save(self) -> None:
        """Write the graph."""
        self._weights.flush()
        graph = helper.make_graph(self._nodes, "qwen3_reranker", self._inputs, self._outputs, self._initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="aatm-onnx")
        self._file.write_bytes(model.SerializeToString())
