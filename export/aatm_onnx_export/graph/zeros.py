"""What is zero in the weights is left out: it would add nothing to any sum.

A pruned model, or one that is smaller than its shapes, then multiplies what it has. Only the order changes in which
sums are added up.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointWeights
from .builder import Value

_ROWS = 64  # of a weight at a time; a trained model's weight is known to be full after the first of them
_MOST_USED = 0.75  # where more of an axis is used, Slice and Pad cost as much as they save
Part = tuple[int, int]  # from here up to there
Kept = dict[str, tuple[int, NDArray[np.int64]]]  # of weights, the axis that is cut, and the places that are left


@dataclass(frozen=True)
class Box:
    """A block of a weight, (out, in), that has all of it that is not zero."""

    outputs: Part
    inputs: Part


def box(weights: CheckpointWeights, name: str) -> Box | None:
    """The block of a weight that has to be multiplied, or None if that is all of it."""
    used = _used(weights, name)
    outputs, inputs = (_worth_cutting(_around(axis), len(axis)) for axis in used)
    return None if (outputs, inputs) == tuple((0, len(axis)) for axis in used) else Box(outputs, inputs)


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
    for block in weights.row_blocks(name, _ROWS):
        rows.append((block != 0).any(1))
        columns |= (block != 0).any(0)
        if len(rows) == 1 and rows[0].all() and columns.all():
            return np.ones(outputs, np.bool_), columns
    return np.concatenate(rows), columns


def _worth_cutting(part: Part, size: int) -> Part:
    return part if part[1] - part[0] <= _MOST_USED * size else (0, size)


def _around(used: NDArray[np.bool_]) -> Part:
    """The part that has all that is used, and one place if none is."""
    places = np.flatnonzero(used)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)
