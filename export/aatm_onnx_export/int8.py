"""int8: activations as uint8 with one scale per token, weights as int8 with one scale per output channel.

uint8 x int8 is the one integer product that ONNX Runtime does fast on x86 (VNNI and AMX take just this pair). A scale
per token means that a score can't depend on the other rows of its batch, and that the few tokens with massive
activations spoil only themselves. With the activations' zero point at 128, x = row_scale * (u - 128).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .linear import Product
from .onnx_graph import MICROSOFT, OnnxGraph
from .qwen3 import FloatArray, Qwen3

_ZERO_POINT = 128
_TINY = 1e-30  # the least scale, so that a row of zeros is not divided by zero


class Int8Linear:
    """Linear layers in 8 bits; a product's rows still need the scale of the activations."""

    rounds_activations = True

    def prepare(self, graph: OnnxGraph, x: str) -> Product:
        """Quantize each row of x to 127 steps on either side of zero."""
        last = graph.constant([-1], np.int64)
        high = graph.node("ReduceMax", x, last, keepdims=0)  # (tokens,)
        low = graph.node("Neg", graph.node("ReduceMin", x, last, keepdims=0))
        largest = graph.node("Max", high, low, graph.constant(_TINY, np.float32))
        scale = graph.node("Mul", largest, graph.constant(1 / 127, np.float32))
        zero_points = graph.node("Expand", graph.constant(_ZERO_POINT, np.uint8), graph.node("Shape", scale))
        values = graph.node("QuantizeLinear", x, scale, zero_points, axis=0)
        return Product(values, graph.node("Unsqueeze", scale, graph.constant(1, np.int64)))

    def apply(self, graph: OnnxGraph, x: Product, model: Qwen3, name: str) -> Product:
        """The integer product times the weight's channel scales."""
        outputs, inputs = model.tensors[name].shape
        scales: list[FloatArray] = []

        def quantized() -> Iterator[NDArray[np.int8]]:
            weight, row_scales = quantize_rows(model.weight(name))
            scales.append(row_scales)
            yield weight.T

        product = graph.node(
            "MatMulIntegerToFloat",
            x.values,
            graph.streamed_weight(name, np.int8, (inputs, outputs), quantized()),
            graph.constant(1.0, np.float32),
            graph.streamed_weight(name + "_scale", np.float32, (outputs,), scales),
            graph.constant(_ZERO_POINT, np.uint8),
            domain=MICROSOFT,
        )
        return Product(product, x.row_scale)

    def project(self, graph: OnnxGraph, x: Product, model: Qwen3, name: str) -> str:
        """A row scale that x brings along cancels in its quantization: both scales are multiplied in at the end."""
        prepared = self.prepare(graph, x.values)
        if x.row_scale is not None:
            assert prepared.row_scale is not None
            prepared = Product(prepared.values, graph.node("Mul", prepared.row_scale, x.row_scale))
        return self.apply(graph, prepared, model, name).scaled(graph)


def quantize_rows(weight: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """int8 rows and one scale for each, (out, in) and (out,), so that weight is about rows * scales[:, None]."""
    scales = np.maximum(np.abs(weight).max(axis=1), np.float32(_TINY)) / np.float32(127)
    return np.round(weight / scales[:, None]).astype(np.int8), scales
