"""What is zero in the weights is left out: it would add nothing to any sum.

A pruned model, or one that is smaller than its shapes, then multiplies what it has. Only the order changes in which
sums are added up.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import Value

ROWS = 64  # of a weight at a time; a trained model's weight is known to be full after the first of them
_MOST_USED = 0.75  # where more of an axis is used, Slice and Pad cost as much as they save
_GAP = 64  # so many columns of zeros between others are left out too
Part = tuple[int, int]  # from here up to there
Kept = dict[str, tuple[int, NDArray[np.int64]]]  # of weights, the axis that is cut, and the places that are left


@dataclass(frozen=True)
class Box:
    """What of a weight, (out, in), has all of it that is not zero: a part of its rows, and parts of its columns."""

    outputs: Part
    inputs: tuple[Part, ...]

    @staticmethod
    def whole(shape: tuple[int, int]) -> "Box":
        """All of a weight of this shape."""
        outputs, inputs = shape
        return Box((0, outputs), ((0, inputs),))

    def of(self, weight: FloatArray) -> FloatArray:
        """The block, (rows, columns of all parts)."""
        rows = weight[slice(*self.outputs)]
        return np.concatenate([rows[:, slice(*part)] for part in self.inputs], axis=1)


def box(weights: CheckpointWeights, name: str) -> Box:
    """The block of a weight that has to be multiplied."""
    rows, columns = _used(weights, name)
    (outputs,) = _worth_cutting((_around(rows),), len(rows))
    return Box(outputs, _worth_cutting(_parts(columns), len(columns)))


def used_columns(weights: CheckpointWeights, name: str) -> Part:
    """The columns of a table that hold all its values: in the others every row is zero."""
    return _around(_used(weights, name)[1])


def kept_heads(weights: CheckpointWeights, layer: int) -> Part:
    """The key/value heads of a layer that are there."""
    size = weights.config.head_dim
    name = f"model.layers.{layer}.self_attn.k_proj.weight"
    if name not in weights.kept:
        return 0, weights.config.num_key_value_heads
    _, rows = weights.kept[name]
    return int(rows[0]) // size, int(rows[-1]) // size + 1


def cut(x: Value, part: Part, size: int, axis: int) -> Value:
    """A part of x's axis of this size."""
    return x if part == (0, size) else x.graph.op.Slice(x, [part[0]], [part[1]], [axis])


def cut_columns(x: Value, parts: tuple[Part, ...], size: int) -> Value:
    """Parts of x, (tokens, size), side by side."""
    columns = [cut(x, part, size, axis=1) for part in parts]
    return columns[0] if len(columns) == 1 else x.graph.op.Concat(*columns, axis=1)


def pad(x: Value, part: Part, size: int, axis: int) -> Value:
    """Zeros before and behind x, which is a part of an axis of this size."""
    return x if part == (0, size) else x.graph.op.Pad(x, [part[0], size - part[1]], 0.0, [axis])


def without_zeros(weights: CheckpointWeights) -> CheckpointWeights:
    """The same model without the heads of attention and the channels of MLPs that never give anything but zeros."""
    kept: Kept = {}
    for layer in range(weights.config.num_hidden_layers):
        kept |= _heads(weights, f"model.layers.{layer}.self_attn.")
        kept |= _channels(weights, f"model.layers.{layer}.mlp.")
    return replace(weights, kept=kept)


def _heads(weights: CheckpointWeights, name: str) -> Kept:
    """Key/value heads whose keys and values are zero gather zeros, and so do their queries' heads.

    Those that are kept stand side by side: what is left out lies before and behind them.
    """
    size, group = weights.config.head_dim, weights.group
    rows = np.array([_used(weights, f"{name}{x}_proj.weight")[0] for x in "kv"])  # (2, kv_heads * head_dim)
    used = np.array([head.any() for head in rows.T.reshape(-1, size, 2)])
    first, stop = _around(used)
    keys = np.arange(first * size, stop * size)
    queries = np.arange(first * group * size, stop * group * size)
    parts = {"q": (0, queries), "k": (0, keys), "v": (0, keys), "o": (1, queries)}
    return {f"{name}{x}_proj.weight": part for x, part in parts.items()} if stop - first < len(used) else {}


def _channels(weights: CheckpointWeights, name: str) -> Kept:
    """down(silu(gate(x)) * up(x)) loses nothing with a channel that is zero in one of the three."""
    parts = {"gate": 0, "up": 0, "down": 1}
    used = np.array([_used(weights, f"{name}{x}_proj.weight")[axis] for x, axis in parts.items()])  # (3, channels)
    kept = np.flatnonzero(used.all(0))
    if len(kept) == used.shape[1]:
        return {}
    return {f"{name}{x}_proj.weight": (axis, kept) for x, axis in parts.items()}


def _used(weights: CheckpointWeights, name: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows and which columns of a weight, (out,) and (in,), are not zero."""
    outputs, inputs = weights.shape(name)
    rows, columns = list[NDArray[np.bool_]](), np.zeros(inputs, np.bool_)
    for block in weights.row_blocks(name, ROWS):
        rows.append((block != 0).any(1))
        columns |= (block != 0).any(0)
        if len(rows) == 1 and rows[0].all() and columns.all():
            return np.ones(outputs, np.bool_), columns
    return np.concatenate(rows), columns


def _worth_cutting(parts: tuple[Part, ...], size: int) -> tuple[Part, ...]:
    return parts if sum(stop - start for start, stop in parts) <= _MOST_USED * size else ((0, size),)


def _parts(used: NDArray[np.bool_]) -> tuple[Part, ...]:
    """The parts that have all that is used, with a gap between any two."""
    start, stop = _around(used)
    places = np.flatnonzero(used)
    gaps = np.flatnonzero(np.diff(places) > _GAP)
    ends = [start, *(place for gap in gaps for place in (int(places[gap]) + 1, int(places[gap + 1]))), stop]
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def _around(used: NDArray[np.bool_]) -> Part:
    """The part that has all that is used, and one place if none is."""
    places = np.flatnonzero(used)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)
