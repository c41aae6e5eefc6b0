"""Smoothing: what is hard to quantize moves from activations into weights, and no float score changes.

A channel of an activation that is much larger than the others takes the scale that all share. Dividing it by a factor,
and multiplying the weights that meet it by the same, changes nothing in float and leaves both with less spread
(SmoothQuant: Xiao et al., 2023). The division costs nothing at run time: it is folded into the norm before, or into
up_proj's rows for down_proj's input. Factors are powers of two, which round nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..checkpoint import CheckpointWeights, FloatArray

# A norm or a weight, and the weights that meet what it puts out. v_proj's output is left alone: a bundle's
# prefix_kv.npz has values that are not smoothed.
Folds = Sequence[tuple[str, Sequence[str]]]
FOLDS: Folds = (
    ("input_layernorm.weight", ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight")),
    ("post_attention_layernorm.weight", ("mlp.gate_proj.weight", "mlp.up_proj.weight")),
    ("mlp.up_proj.weight", ("mlp.down_proj.weight",)),
)
MLP_FOLDS = FOLDS[-1:]
# The largest exponent of a factor. A channel that hardly ever gives anything would get any, and its row of up_proj
# become larger than float16 holds.
_MOST = 10


@dataclass(frozen=True)
class InputStatistics:
    """What the weights of the layers meet over the calibration prompts, by the weight's name.

    Attributes:
        mean: of each input, (in,).
        variance: of each input, (in,).
        largest: of each input's absolute values, (in,).
        largest_weight: of the absolute weights that meet each input, (in,).
    """

    mean: Mapping[str, FloatArray] = field(default_factory=dict)
    variance: Mapping[str, FloatArray] = field(default_factory=dict)
    largest: Mapping[str, FloatArray] = field(default_factory=dict)
    largest_weight: Mapping[str, FloatArray] = field(default_factory=dict)


def smooth(
    weights: CheckpointWeights, statistics: InputStatistics, folds: Folds = FOLDS, layers: int | None = None
) -> tuple[CheckpointWeights, InputStatistics]:
    """Rescale weights, and say what they meet then: the factor of a channel is sqrt(largest input / largest weight).

    Args:
        weights: the checkpoint's.
        statistics: what they meet.
        folds: what is rescaled.
        layers: in how many of the first layers; None means in all.
    """
    output_scales: dict[str, FloatArray] = {}
    input_scales: dict[str, FloatArray] = {}
    for layer in range(weights.config.num_hidden_layers if layers is None else layers):
        name = f"model.layers.{layer}."
        for producer, consumers in folds:
            names = [name + consumer for consumer in consumers]
            inputs = np.max([statistics.largest[each] for each in names], axis=0)
            factors = _powers_of_two(inputs, np.max([statistics.largest_weight[each] for each in names], axis=0))
            output_scales[name + producer] = np.float32(1) / factors
            input_scales |= dict.fromkeys(names, factors)
    one = np.float32(1)
    factor = {name: input_scales.get(name, one) for name in statistics.mean}
    return weights.rescaled(output_scales, input_scales), InputStatistics(
        mean={name: mean / factor[name] for name, mean in statistics.mean.items()},
        variance={name: variance / factor[name] ** 2 for name, variance in statistics.variance.items()},
        largest={name: largest / factor[name] for name, largest in statistics.largest.items()},
        largest_weight={name: largest * factor[name] for name, largest in statistics.largest_weight.items()},
    )


def _powers_of_two(inputs: FloatArray, weights: FloatArray) -> FloatArray:
    """The power of two nearest to sqrt(inputs / weights), within bounds; 1 where one of them is 0."""
    known = (inputs > 0) & (weights > 0)
    exponents = (np.log2(np.where(known, inputs, 1)) - np.log2(np.where(known, weights, 1))) / 2
    factors: FloatArray = np.exp2(np.clip(np.round(exponents), -_MOST, _MOST)).astype(np.float32)
    return factors
