"""Writing an ONNX graph so that a line reads like the maths.

    op = graph.op
    gate = op.Reshape(x, [-1, 128]) * 0.5

Values of the graph are `Value` objects; Python numbers, lists and numpy arrays beside them become constants: a whole
number int64, a float float32, an array of its own type.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import helper, numpy_helper

from .weight_file import ONNX_TYPES, WeightFile

OPSET = 21  # QuantizeLinear with one scale per row of a float tensor needs 13; 21 is what ONNX Runtime 1.20 knows

_INLINE_BYTES = 1024  # smaller weights stay in the graph, where shape inference and the optimizer can see them
# ONNX Runtime's own operators; all others are ONNX's.
_MICROSOFT = "com.microsoft"
_OF_MICROSOFT = {
    "FusedMatMul",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "MultiHeadAttention",
    "QuickGelu",
    "RotaryEmbedding",
    "SkipSimplifiedLayerNormalization",
}


@dataclass(frozen=True)
class Value:
    """A value of a graph: the output of a node, an input, a weight or a constant.

    Attributes:
        graph: the graph under construction.
        name: what ONNX calls it.
    """

    graph: "OnnxGraph" = field(repr=False)
    name: str

    def __add__(self, other: "Operand") -> "Value":
        return self.graph.op.Add(self, other)

    def __sub__(self, other: "Operand") -> "Value":
        return self.graph.op.Sub(self, other)

    def __mul__(self, other: "Operand") -> "Value":
        return self.graph.op.Mul(self, other)

    def __truediv__(self, other: "Operand") -> "Value":
        return self.graph.op.Div(self, other)

    def __matmul__(self, other: "Operand") -> "Value":
        return self.graph.op.MatMul(self, other)

    def __neg__(self) -> "Value":
        return self.graph.op.Neg(self)

    def cast(self, dtype: DTypeLike) -> "Value":
        """The value in another type."""
        return self.graph.op.Cast(self, to=ONNX_TYPES[np.dtype(dtype)])


# None stands for an optional input that is left out.
Operand = Value | int | float | Sequence[int] | NDArray[Any] | np.generic | None


class Operators:
    """`op.Name(*inputs, **attributes)` adds a node of the operator `Name` and gives its one output."""

    def __init__(self, graph: "OnnxGraph") -> None:
        """Add nodes to `graph`."""
        self._graph = graph

    def __getattr__(self, operator: str) -> Callable[..., Value]:
        def add(*inputs: Operand, **attributes: Any) -> Value:
            return self._graph.nodes(operator, *inputs, outputs=1, **attributes)[0]

        return add


class OnnxGraph:
    """A graph under construction."""

    def __init__(self, file: Path, weights: WeightFile) -> None:
        """Start a graph that `save` will write to `file`, with its large weights in `weights`."""
        self.op = Operators(self)
        self.metadata: dict[str, str] = {}  # what a runtime may want to know of it
        self._file, self._weight_file = file, weights
        self._nodes: list[onnx.NodeProto] = []
        self._outputs_of: dict[bytes, list[Value]] = {}
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}

    def input(self, name: str, dtype: DTypeLike, shape: Sequence[int | str]) -> Value:
        """Declare an input. Every input is required: not every binding of ONNX Runtime can feed an optional one."""
        self._inputs.append(helper.make_tensor_value_info(name, ONNX_TYPES[np.dtype(dtype)], shape))
        return Value(self, name)

    def output(self, name: str, value: Value, dtype: DTypeLike, shape: Sequence[int | str]) -> None:
        """Declare an output that is called `name` and has the value `value`."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, ONNX_TYPES[np.dtype(dtype)], shape))

    def nodes(self, operator: str, *inputs: Operand, outputs: int, **attributes: Any) -> list[Value]:
        """Add a node with several outputs. The same operator of the same inputs is added once."""
        names = [f"{operator}_{len(self._nodes)}_{index}" for index in range(outputs)]
        domain = _MICROSOFT if operator in _OF_MICROSOFT else ""
        node = helper.make_node(operator, [self._value(x) for x in inputs], (), domain=domain, **attributes)
        key = node.SerializeToString(deterministic=True)
        if key not in self._outputs_of:
            node.name = names[0]
            node.output.extend(names)
            self._nodes.append(node)
            self._outputs_of[key] = [Value(self, name) for name in names]
        return self._outputs_of[key]

    def constant(self, values: NDArray[Any]) -> Value:
        """A small constant kept in the graph; equal ones are shared."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._initializers[name] = numpy_helper.from_array(values, name)
            self._constants[key] = Value(self, name)
        return self._constants[key]

    def weight(self, name: str, array: NDArray[Any]) -> Value:
        """A weight, written to the data file at once unless it is tiny."""
        if array.nbytes > _INLINE_BYTES:
            return self.streamed_weight(name, array.dtype, array.shape, [array])
        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return Value(self, name)

    def streamed_weight(
        self, name: str, dtype: DTypeLike, shape: Sequence[int], row_blocks: Iterable[NDArray[Any]]
    ) -> Value:
        """A weight that arrives some rows of its first axis at a time, so that it is never in memory whole.

        Rows made by a generator are not made at all if the weight file has them from another graph.
        """
        self._initializers[name] = self._weight_file.tensor(name, dtype, shape, row_blocks)
        return Value(self, name)

    def save(self) -> None:
        """Write the graph."""
        self._weight_file.flush()
        initializers = list(self._initializers.values())
        graph = helper.make_graph(self._nodes, "qwen3_reranker", self._inputs, self._outputs, initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="aatm-onnx")
        helper.set_model_props(model, self.metadata)
        self._file.write_bytes(model.SerializeToString())

    def _value(self, operand: Operand) -> str:
        """The name of an operand, which becomes a constant if it is not one of the graph's values."""
        if operand is None:
            return ""
        if isinstance(operand, Value):
            return operand.name
        array = np.asarray(operand)
        if not isinstance(operand, np.ndarray | np.generic):
            array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        return self.constant(array).name
