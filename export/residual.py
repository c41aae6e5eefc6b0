"""The residual stream of every graph for ONNX Runtime: how it begins, and how a layer's update enters it."""

import numpy as np

from .onnx_graph import MICROSOFT, OnnxGraph
from .qwen3 import Qwen3

_EMBEDDING_ROWS = 8192  # how much of the embedding is in memory at a time: 128 MB of float32 at hidden size 4096


def embed(graph: OnnxGraph, model: Qwen3, ids: str, stored: type[np.floating]) -> str:
    """Embeddings of the tokens, (batch * seq, hidden) float32, out of a table of type `stored`."""
    name = "model.embed_tokens.weight"
    slabs = model.slabs(name, _EMBEDDING_ROWS)
    table = graph.streamed_weight(name, stored, model.tensors[name].shape, slabs)
    embedded = graph.node("Gather", table, graph.node("Reshape", ids, graph.constant([-1], np.int64)), axis=0)
    return embedded if stored == np.float32 else graph.node("Cast", embedded, to=graph.onnx_type(np.float32))


def add_norm(graph: OnnxGraph, model: Qwen3, residual: str, update: str, name: str) -> tuple[str, str]:
    """The residual stream with the update, if there is one, added, and the RMSNorm of that by weight `name`."""
    weight, epsilon = graph.weight(name, model.weight(name)), model.rms_norm_eps
    if not update:
        return residual, graph.node("SimplifiedLayerNormalization", residual, weight, axis=-1, epsilon=epsilon)
    normed, _, _, total = graph.nodes(
        "SkipSimplifiedLayerNormalization", residual, update, weight, outputs=4, domain=MICROSOFT, epsilon=epsilon
    )
    return total, normed
