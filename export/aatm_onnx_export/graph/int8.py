"""int8: activations as uint8 with one scale per token, weights as int8 with one scale per output channel.

uint8 x int8 is the one integer product that ONNX Runtime does fast on x86 (VNNI and AMX take just this pair). A scale
per token means that a score can't depend on the other rows of its batch, and that the few tokens with massive
activations spoil only themselves. With the activations' zero point at 128, x = row_scale * (u - 128).

What tokens have in common is the larger part of what weights meet, because every token attends to the prompt's first
ones. So weights are rounded such that the product with it comes out right. Attention's output is quantized after its
mean was taken off, which the product gets back as a bias: the deviations are smaller, and so are their steps
(channel-wise shifting: Wei et al., Outlier Suppression+, 2023).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import OnnxGraph, Value
from .linear import Activation
from .smoothing import InputStatistics

_ZERO_POINT = np.uint8(128)
_TINY = 1e-30  # the least scale, so that a row of zeros is not divided by zero


@dataclass(frozen=True)
class Int8Linear:
    """Linear layers in 8 bits; a product's rows still need the scale of the activations.

    Attributes:
        graph: the graph that is built.
        weights: the checkpoint's.
        inputs: what weights meet, where that is known.
    """

    graph: OnnxGraph
    weights: CheckpointWeights
    inputs: InputStatistics = field(default_factory=InputStatistics)
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
        return self._product(x, name, self.inputs.mean.get(name))

    def project(self, x: Activation, name: str) -> Value:
        """A row scale that x brings along cancels in its quantization: both scales are multiplied in at the end.

        Without one, x is what attention gathered, and its mean is taken off where it is known.
        """
        mean = self.inputs.mean.get(name)
        if x.row_scale is None and mean is not None:
            return self._project_deviations(x.values, name, mean)
        prepared = self.prepare(x.values)
        if x.row_scale is not None:
            assert prepared.row_scale is not None
            prepared = Activation(prepared.values, prepared.row_scale * x.row_scale)
        return self.apply(prepared, name).scaled()

    def _project_deviations(self, x: Value, name: str, mean: FloatArray) -> Value:
        deviations = self.prepare(x - self.graph.weight(name + "_mean_input", mean))
        product = self._product(deviations, name, mean=None).scaled()
        outputs, _ = self.weights.shape(name)
        bias = (weight @ mean for weight in self.weights.row_blocks(name, outputs))
        return product + self.graph.streamed_weight(name + "_bias", np.float32, (outputs,), bias)

    def _product(self, x: Activation, name: str, mean: FloatArray | None) -> Activation:
        """x times a weight that is rounded for inputs with this mean."""
        outputs, inputs = self.weights.shape(name)
        scales: list[FloatArray] = []

        def quantized() -> Iterator[NDArray[np.int8]]:
            whole = self.weights.whole(name)
            if mean is None:
                weight, row_scales = quantize_rows(whole)
            else:
                weight, row_scales = quantize_rows_for(whole, mean, self.inputs.variance[name])
            scales.append(row_scales)
            yield weight.T

        weight = self.graph.streamed_weight(name, np.int8, (inputs, outputs), quantized())
        weight_scale = self.graph.streamed_weight(name + "_scale", np.float32, (outputs,), scales)
        product = self.graph.op.MatMulIntegerToFloat(x.values, weight, 1.0, weight_scale, _ZERO_POINT)
        return Activation(product, x.row_scale)


def quantize_rows(weight: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """int8 rows and one scale for each, (out, in) and (out,), so that weight is about rows * scales[:, None]."""
    scales = _row_scales(weight)
    return np.round(weight / scales[:, None]).astype(np.int8), scales


def quantize_rows_for(
    weight: FloatArray, mean: FloatArray, variance: FloatArray
) -> tuple[NDArray[np.int8], FloatArray]:
    """As `quantize_rows`, but what rounding does to the product with the inputs' mean is carried on to later weights.

    Input after input, those with the largest means first. What is then left of the error in the mean, `carried`, could
    be taken back by moving the weights that are still to be rounded; moved by carried * mean / variance / (1 + sum of
    mean**2 / variance), they take back most of it at the least cost for inputs that deviate from the mean. It is what
    GPTQ (Frantar et al., 2023) does, if inputs are taken to deviate independently.

    Args:
        weight: (out, in).
        mean: of the inputs, (in,).
        variance: of the inputs, (in,).
    """
    scales, by_input = _row_scales(weight), np.ascontiguousarray(weight.T)
    mean = mean.astype(np.float32)
    pull = mean / np.maximum(variance, 1e-6 * np.square(mean) + _TINY).astype(np.float32)
    order = np.argsort(-np.abs(mean))
    move = np.empty_like(mean)
    move[order] = pull[order] / (1 + np.cumsum((mean * pull)[order][::-1])[::-1])
    rows, carried = np.empty(by_input.shape, np.int8), np.zeros(len(weight), np.float32)
    for index in order:
        steps = np.clip(np.round((by_input[index] + carried * move[index]) / scales), -127, 127)
        carried += (by_input[index] - steps * scales) * mean[index]
        rows[index] = steps
    return rows.T, scales


def _row_scales(weight: FloatArray) -> FloatArray:
    scales: FloatArray = np.maximum(np.abs(weight).max(axis=1), np.float32(_TINY)) / np.float32(127)
    return scales
