"""int8: activations as uint8 with one scale per token, weights as int8 with one scale per output channel.

uint8 x int8 is the one integer product that ONNX Runtime does fast on x86 (VNNI and AMX take just this pair). A scale
per token means that a score can't depend on the other rows of its batch, and that the few tokens with massive
activations spoil only themselves. With the activations' zero point at 128, x = row_scale * (u - 128).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import OnnxGraph, Value
from .linear import Activation

_ZERO_POINT = np.uint8(128)
_TINY = 1e-30  # the least scale, so that a row of zeros is not divided by zero


@dataclass(frozen=True)
class Int8Linear:
    """Linear layers in 8 bits; a product's rows still need the scale of the activations.

    Attributes:
        graph: the graph that is built.
        weights: the checkpoint's.
    """

    graph: OnnxGraph
    weights: CheckpointWeights
    quantizes_activations = True

    def prepare(self, x: Value) -> Activation:
        """Quantize each row of x to 127 steps on either side of zero."""
        op = self.graph.op
        high = op.ReduceMax(x, [-1], keepdims=0)  # (tokens,)
        low = -op.ReduceMin(x, [-1], keepdims=0)
        scale = op.Max(high, low, _TINY) * (1 / 127)
        zero_points = op.Expand(_ZERO_POINT, op.Shape(scale))
        return Activation(op.QuantizeLinear(x, scale, zero_points, axis=0), op.Unsqueeze(scale, 1))

    def apply(self, x: Activation, name: str) -> Activation:
        """The integer product times the weight's channel scales."""
        outputs, inputs = self.weights.shape(name)
        scales: list[FloatArray] = []

        def quantized() -> Iterator[NDArray[np.int8]]:
            weight, row_scales = quantize_rows(self.weights.whole(name))
            scales.append(row_scales)
            yield weight.T

        weight = self.graph.streamed_weight(name, np.int8, (inputs, outputs), quantized())
        weight_scale = self.graph.streamed_weight(name + "_scale", np.float32, (outputs,), scales)
        product = self.graph.op.MatMulIntegerToFloat(x.values, weight, 1.0, weight_scale, _ZERO_POINT)
        return Activation(product, x.row_scale)

    def project(self, x: Activation, name: str) -> Value:
        """A row scale that x brings along cancels in its quantization: both scales are multiplied in at the end."""
        prepared = self.prepare(x.values)
        if x.row_scale is not None:
            assert prepared.row_scale is not None
            prepared = Activation(prepared.values, prepared.row_scale * x.row_scale)
        return self.apply(prepared, name).scaled()


def quantize_rows(weight: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """int8 rows and one scale for each, (out, in) and (out,), so that weight is about rows * scales[:, None]."""
    scales = np.maximum(np.abs(weight).max(axis=1), np.float32(_TINY)) / np.float32(127)
    return np.round(weight / scales[:, None]).astype(np.int8), scales
