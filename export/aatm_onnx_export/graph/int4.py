"""int4: weights in 4 bits with one scale for every 32 or 64 inputs of an output channel, for a small memory.

ONNX Runtime's MatMulNBits rounds activations to 8 bits too, with one scale for as many of a token.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.errors import ExportError

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import OnnxGraph, Value
from .linear import Activation

# Inputs that share a scale. In memory ONNX Runtime has 12 bytes for each scale beside 16 for 32 weights: of 8B 2.6 GB;
# wide rows save half of that.
_BLOCK, _WIDE_BLOCK = 32, 64
_WIDE_INPUTS = 4096
_ROWS = 512  # outputs rounded at a time
_SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8)  # scales tried, relative to the one that covers the whole block


@dataclass(frozen=True)
class Int4Linear:
    """Linear layers with 4-bit weights.

    Attributes:
        graph: the graph that is built.
        weights: the checkpoint's.
        mean_inputs: what a weight is multiplied with on average, (in,), where that was measured.
        fine: half as many inputs as usual share a scale.
    """

    graph: OnnxGraph
    weights: CheckpointWeights
    mean_inputs: Mapping[str, FloatArray] = field(default_factory=dict)
    fine: bool = False
    quantizes_activations = True

    def prepare(self, x: Value) -> Activation:
        """As it is: MatMulNBits rounds activations itself."""
        return Activation(x)

    def apply(self, x: Activation, name: str) -> Activation:
        """MatMulNBits; the weight is read, rounded and written some rows at a time.

        Where it is known what the weight meets on average, a bias takes back what rounding the weight does to that
        (bias correction: Nagel et al., Data-Free Quantization, 2019).
        """
        outputs, inputs = self.weights.shape(name)
        block = self._block(name, inputs)
        mean = self.mean_inputs.get(name)
        all_scales: list[FloatArray] = []
        biases: list[NDArray[np.floating]] = []

        def packed() -> Iterator[NDArray[np.uint8]]:
            for rows in self.weights.row_blocks(name, _ROWS):
                weight, scales = quantize_blocks(rows, block)
                all_scales.append(scales)
                if mean is not None:
                    biases.append((rows - unpack(weight, scales)) @ mean)
                yield weight

        shape = (outputs, inputs // block, block // 2)
        weight = self.graph.streamed_weight(name, np.uint8, shape, packed())
        scales = self.graph.streamed_weight(name + "_scale", np.float32, shape[:2], all_scales)
        attributes = {"K": inputs, "N": outputs, "bits": 4, "block_size": block, "accuracy_level": 4}
        product = self.graph.op.MatMulNBits(x.values, weight, scales, **attributes)
        if mean is not None:  # not MatMulNBits' own bias: the CUDA kernels of older versions refuse that
            product = product + self.graph.streamed_weight(name + "_bias", np.float32, (outputs,), biases)
        return Activation(product)

    def project(self, x: Activation, name: str) -> Value:
        """MatMulNBits of the true activations."""
        return self.apply(Activation(x.scaled()), name).values

    def _block(self, name: str, inputs: int) -> int:
        block = _WIDE_BLOCK if inputs >= _WIDE_INPUTS else _BLOCK
        if inputs % block:
            raise ExportError(f"{name} has {inputs} inputs, and int4 needs a multiple of {block}; export to int8.")
        return block // 2 if self.fine else block


def quantize_blocks(weight: FloatArray, block: int) -> tuple[NDArray[np.uint8], FloatArray]:
    """Weights in blocks of inputs, as MatMulNBits wants them: scale * (nibble - 8), even inputs low.

    The value furthest from zero becomes -8, the end that has one step more; of some scales around that, each block
    takes the one with the least squared error.

    Args:
        weight: (out, in).
        block: how many inputs share a scale; divides `in`.

    Returns:
        Packed nibbles (out, in / block, block / 2) and scales (out, in / block).
    """
    blocks = weight.reshape(len(weight), -1, block)
    furthest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2)[..., None], axis=2)  # (out, blocks, 1)
    best_error = np.full(furthest.shape, np.inf, np.float32)
    best, best_scales = np.zeros(blocks.shape, np.float32), np.ones_like(furthest)
    for shrink in _SHRINKS:
        scales = np.where(furthest == 0, np.float32(1), furthest * np.float32(-shrink / 8))
        nibbles = np.clip(np.round(blocks / scales), -8, 7)
        error = np.square(nibbles * scales - blocks).sum(axis=2, keepdims=True)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best, best_scales = np.where(better, nibbles, best), np.where(better, scales, best_scales)
    counted = best + 8  # from 0 to 15, as they are stored
    return (counted[..., 0::2] + 16 * counted[..., 1::2]).astype(np.uint8), best_scales[..., 0]


def unpack(packed: NDArray[np.uint8], scales: FloatArray) -> FloatArray:
    """The weights, (out, in), that `quantize_blocks` made its results for."""
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*scales.shape, -1)  # (out, blocks, block)
    weight: FloatArray = ((nibbles.astype(np.float32) - 8) * scales[..., None]).reshape(len(packed), -1)
    return weight
