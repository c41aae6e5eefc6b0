"""Weights with which every output is one or two inputs, each times a number: they are gathered, not multiplied.

Weights that were written by hand are often so. Transposed, one input of all tokens lies together and is copied at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import Value
from .zeros import ROWS, Box

_FEW = 2
# in x out must be so many times few x (in + out). Where it is 103 times, gathering takes 0.3 of a product's time, where
# it is 344 times 0.1 (docs/decisions/zeros.md); at 32 it should take as long, which was not measured.
_WORTH = 32


@dataclass(frozen=True)
class Picks:
    """Which inputs every output is made of.

    Attributes:
        inputs: their places among the block's columns, (few, out).
        factors: what they are multiplied by, (few, out); zeros where there are fewer.
    """

    inputs: NDArray[np.int64]
    factors: FloatArray


def picks(weights: CheckpointWeights, name: str, block: Box) -> Picks | None:
    """What a weight's block picks; None if an output has more inputs, or multiplying is no slower."""
    if any((np.count_nonzero(rows, axis=1) > _FEW).any() for rows in weights.row_blocks(name, ROWS)):
        return None
    part = block.of(weights.whole(name))  # (out, in)
    few = max(1, int(np.count_nonzero(part, axis=1).max()))
    if part.size < _WORTH * few * sum(part.shape):
        return None
    places = np.argsort(part == 0, axis=1, kind="stable")[:, :few]  # (out, few)
    return Picks(places.T, np.take_along_axis(part, places, axis=1).T)


def pick(x: Value, places: NDArray[np.int64], factors: list[Value]) -> Value:
    """The outputs (tokens, out) of inputs x, (tokens, in).

    Args:
        x: the inputs.
        places: which of them, (few, out).
        factors: (out, 1) each.
    """
    op = x.graph.op
    by_input = op.Transpose(x, perm=[1, 0])
    first, *others = (op.Gather(by_input, row, axis=0) * factor for row, factor in zip(places, factors, strict=True))
    for other in others:
        first = first + other
    return op.Transpose(first, perm=[1, 0])
