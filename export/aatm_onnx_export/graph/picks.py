"""Weights with which every output is one or two inputs, each times a number: they are gathered, not multiplied.

Weights that were written by hand are often so. A row of x^T is an input of all tokens, which Gather copies at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import Value
from .zeros import Box

_FEW = 2
_ROWS = 64  # of a weight at a time; a trained model's has too many inputs in the first of them
# A product is as fast as two transpositions and a gathering where it has so many times the numbers of both sides:
# 26 x 563 loses a little, 195 x 224 takes a third of the time (one thread with AVX-512).
_WORTH = 32


@dataclass(frozen=True)
class Picks:
    """Which inputs every output is made of.

    Attributes:
        inputs: their places, (few, out).
        factors: what they are multiplied by, (few, out); zeros where there are fewer.
    """

    inputs: NDArray[np.int64]
    factors: FloatArray


def picks(weights: CheckpointWeights, name: str, block: Box) -> Picks | None:
    """What a weight's block picks, or None if multiplying is no slower."""
    if any((np.count_nonzero(rows, axis=1) > _FEW).any() for rows in weights.row_blocks(name, _ROWS)):
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
