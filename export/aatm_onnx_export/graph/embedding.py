"""The embedding: how its table is stored, and how tokens are looked up in it."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import OnnxGraph, Value
from .int8 import quantize_rows
from .zeros import pad, used_columns

_NAME = "model.embed_tokens.weight"
_ROWS = 2048  # rows in memory at a time: 32 MB of float32 at hidden size 4096
# Channels of a token that share a scale; of a hidden size that is no multiple of it, as many as divide both (32 or more
# in every known Qwen3: below 8 the scales would take more than the channels).
_BLOCK = 64


def embed(graph: OnnxGraph, weights: CheckpointWeights, ids: Value, stored: type[np.number]) -> Value:
    """Look up tokens, (batch, seq), in a table of type `stored`: (batch * seq, hidden) float32."""
    tokens = graph.op.Reshape(ids, [-1])
    if stored == np.int8:
        return _embed_int8(graph, weights, tokens)
    vocabulary, hidden = weights.shape(_NAME)
    first, stop = columns = used_columns(weights, _NAME)
    rows = (block[:, first:stop] for block in weights.row_blocks(_NAME, _ROWS))
    table = graph.streamed_weight(_NAME, stored, (vocabulary, stop - first), rows)
    embedded = graph.op.Gather(table, tokens, axis=0)
    embedded = embedded if stored == np.float32 else embedded.cast(np.float32)
    return pad(embedded, columns, hidden, axis=1)


def _embed_int8(graph: OnnxGraph, weights: CheckpointWeights, tokens: Value) -> Value:
    """Rows of an int8 table times their scales.

    Each block of channels has its scale: one for the whole row would let its largest value spoil all.
    """
    vocabulary, hidden = weights.shape(_NAME)
    block = math.gcd(hidden, _BLOCK)
    blocks, scales = hidden // block, list[FloatArray]()

    def quantized() -> Iterator[NDArray[np.int8]]:
        for rows in weights.row_blocks(_NAME, _ROWS):
            values, block_scales = quantize_rows(rows.reshape(-1, block))
            scales.append(block_scales.reshape(-1, blocks, 1))
            yield values.reshape(-1, blocks, block)

    op = graph.op
    table = graph.streamed_weight(_NAME, np.int8, (vocabulary, blocks, block), quantized())
    scale_table = graph.streamed_weight(_NAME + "_scale", np.float32, (vocabulary, blocks, 1), scales)
    embedded = op.Gather(table, tokens, axis=0).cast(np.float32) * op.Gather(scale_table, tokens, axis=0)
    return op.Reshape(embedded, [-1, hidden])
