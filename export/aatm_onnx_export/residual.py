"""The residual stream of every graph for ONNX Runtime: how it begins, and how a layer's update enters it."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .int8 import quantize_rows
from .onnx_graph import MICROSOFT, OnnxGraph
from .qwen3 import FloatArray, Qwen3

_EMBEDDING_ROWS = 2048  # how much of the embedding is in memory at a time: 32 MB of float32 at hidden size 4096
# Channels of a token that share a scale; of a hidden size that is no multiple of it, as many as divide both (32 or more
# in every known Qwen3: below 8 the scales would take more than the channels).
_BLOCK = 64


def embed(graph: OnnxGraph, model: Qwen3, ids: str, stored: type[np.number]) -> str:
    """Embeddings of the tokens, (batch * seq, hidden) float32, out of a table of type `stored`.

    Rows of int8 have a scale for each block of channels: one for the whole row would let its largest value spoil all.
    """
    name = "model.embed_tokens.weight"
    rows, shape = graph.node("Reshape", ids, graph.constant([-1], np.int64)), model.tensors[name].shape
    slabs = model.slabs(name, _EMBEDDING_ROWS)
    if stored == np.int8:
        return _embed_rounded(graph, name, shape, slabs, rows)
    embedded = graph.node("Gather", graph.streamed_weight(name, stored, shape, slabs), rows, axis=0)
    return embedded if stored == np.float32 else graph.node("Cast", embedded, to=graph.onnx_type(np.float32))


def _embed_rounded(graph: OnnxGraph, name: str, shape: Sequence[int], slabs: Iterable[FloatArray], rows: str) -> str:
    """Rows of an int8 table times their blocks' scales."""
    vocabulary, hidden = shape
    block = math.gcd(hidden, _BLOCK)
    blocks, scales = (vocabulary, hidden // block, block), list[FloatArray]()

    def quantized() -> Iterator[NDArray[np.int8]]:
        for slab in slabs:
            values, block_scales = quantize_rows(slab.reshape(-1, block))
            scales.append(block_scales.reshape(-1, hidden // block, 1))
            yield values.reshape(-1, *blocks[1:])

    table = graph.streamed_weight(name, np.int8, blocks, quantized())
    scale_table = graph.streamed_weight(name + "_scale", np.float32, (*blocks[:2], 1), scales)
    values, factors = (graph.node("Gather", weight, rows, axis=0) for weight in (table, scale_table))
    scaled = graph.node("Mul", graph.node("Cast", values, to=graph.onnx_type(np.float32)), factors)
    return graph.node("Reshape", scaled, graph.constant([-1, hidden], np.int64))


def add_norm(graph: OnnxGraph, model: Qwen3, residual: str, update: str, name: str) -> tuple[str, str]:
    """The residual stream with the update, if there is one, added, and the RMSNorm of that by weight `name`."""
    weight, epsilon = graph.weight(name, model.weight(name)), model.rms_norm_eps
    if not update:
        return residual, graph.node("SimplifiedLayerNormalization", residual, weight, axis=-1, epsilon=epsilon)
    normed, _, _, total = graph.nodes(
        "SkipSimplifiedLayerNormalization", residual, update, weight, outputs=4, domain=MICROSOFT, epsilon=epsilon
    )
    return total, normed
