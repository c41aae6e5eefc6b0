"""Attention of a batch of rows over their own tokens and over one shared past.

Every array of heads is laid out (kv_heads, batch, ...): then the queries of all rows that use one key/value head form
one matrix and meet the shared keys in a single product, without a copy of those keys for each row. The scores of the
past and of the row's own tokens are joined before the softmax, so the result is attention over the whole sequence.
"""

import math
from dataclasses import dataclass

import numpy as np

from .linear import Linear, Product
from .onnx_graph import MICROSOFT, OnnxGraph
from .placement import Askers, Placement
from .qwen3 import FloatArray, Qwen3


@dataclass(frozen=True)
class KeysValues:
    """A layer's keys and values: of rows' own tokens, (kv_heads, batch, seq, head_dim); of the past, without batch."""

    keys: str
    values: str


@dataclass(frozen=True)
class Attention:
    """Builds attention layers into a graph.

    order_free: whether activations are rounded to few steps here or later, so that a float's last bit would count.
    """

    graph: OnnxGraph
    model: Qwen3
    linear: Linear
    placement: Placement
    order_free: bool

    def keys_values(self, prefix: str, x: Product) -> KeysValues:
        """Keys (normed and rotated) and values of x, (batch * seq, hidden)."""
        # k and q go through RMSNorm, which does not see a row's scale: it need not be multiplied in.
        keys = self.linear.apply(self.graph, x, self.model, prefix + "k_proj.weight").values
        norm = self.model.weight(prefix + "k_norm.weight")
        keys = self._norm_and_rotate(keys, prefix + "k_norm.weight", norm, self.placement.all)
        values = self.linear.apply(self.graph, x, self.model, prefix + "v_proj.weight").scaled(self.graph)
        return KeysValues(
            self._kv_head_first(keys, self.placement.all), self._kv_head_first(values, self.placement.all)
        )

    def attend(self, prefix: str, x: Product, askers: Askers, past: KeysValues, own: KeysValues) -> str:
        """What the askers x, (batch * n, hidden), gather: (batch * n, heads * head_dim), for the output projection."""
        graph, sizes = self.graph, self.model.sizes
        queries = self.linear.apply(graph, x, self.model, prefix + "q_proj.weight").values
        norm = self.model.weight(prefix + "q_norm.weight") / np.float32(math.sqrt(sizes.head_dim))
        queries = self._norm_and_rotate(queries, prefix + "q_norm.weight", norm, askers)
        gathered = self._gather(self._kv_head_first(queries, askers), askers, past, own)
        group = sizes.num_attention_heads // sizes.num_key_value_heads
        grouped_shape = graph.constant([sizes.num_key_value_heads, 0, -1, group * sizes.head_dim], np.int64)
        gathered = graph.node("Transpose", graph.node("Reshape", gathered, grouped_shape), perm=[1, 2, 0, 3])
        hidden = sizes.num_attention_heads * sizes.head_dim
        return graph.node("Reshape", gathered, graph.constant([-1, hidden], np.int64))

    def _gather(self, queries: str, askers: Askers, past: KeysValues, own: KeysValues) -> str:
        """softmax(queries . keys) . values over past and own tokens, shaped as queries (`_kv_head_first`)."""
        graph, sizes = self.graph, self.model.sizes
        own_scores = graph.node("FusedMatMul", queries, own.keys, domain=MICROSOFT, transB=1)
        own_scores = graph.node("Add", own_scores, askers.bias)  # (kv_heads, batch, n * group, seq)
        rows_joined = graph.constant([sizes.num_key_value_heads, -1, sizes.head_dim], np.int64)
        joined_queries = graph.node("Reshape", queries, rows_joined)  # (kv_heads, batch * n * group, head_dim)
        past_scores = graph.node("FusedMatMul", joined_queries, past.keys, domain=MICROSOFT, transB=1)
        past_scores = graph.node("Reshape", past_scores, askers.past_shape, allowzero=1)
        scores = graph.node("Concat", past_scores, own_scores, axis=-1)  # (kv_heads, batch, n * group, past + seq)
        if not self.order_free:
            return self._weigh(graph.node("Softmax", scores, axis=-1), past, own, queries, askers)
        weights, total = self._order_free_softmax(scores)
        gathered = self._weigh(weights, self._in_float64(past), self._in_float64(own), queries, askers)
        single = graph.onnx_type(np.float32)
        return graph.node("Div", graph.node("Cast", gathered, to=single), graph.node("Cast", total, to=single))

    def _order_free_softmax(self, scores: str) -> tuple[str, str]:
        """Softmax's numerators, shaped as the scores, and its denominator, in float64.

        What is shared and how a row is padded decide in which order these sums are added up. In float32 the last bit
        would show it, a quantizer would now and then round that bit to another step, and after some layers two runs of
        one prompt would differ by a third of what eight bits cost (0.006 in a score of 0.6B). Rounded to float32 only
        at the end, they are equal to the bit.
        """
        graph, last = self.graph, self.graph.constant([-1], np.int64)
        below_largest = graph.node("Sub", scores, graph.node("ReduceMax", scores, last))
        weights = graph.node("Cast", graph.node("Exp", below_largest), to=graph.onnx_type(np.float64))
        return weights, graph.node("ReduceSum", weights, last)

    def _weigh(self, weights: str, past: KeysValues, own: KeysValues, queries: str, askers: Askers) -> str:
        """The values of past and own tokens, weighed and added up, shaped as queries."""
        graph = self.graph
        past_weights, own_weights = graph.nodes("Split", weights, self.placement.lengths, outputs=2, axis=-1)
        joined_weights = graph.node("Reshape", past_weights, askers.joined_past_shape, allowzero=1)
        from_past = graph.node("MatMul", joined_weights, past.values)
        from_past = graph.node("Reshape", from_past, graph.node("Shape", queries))
        return graph.node("Add", graph.node("MatMul", own_weights, own.values), from_past)

    def _in_float64(self, x: KeysValues) -> KeysValues:
        return KeysValues(x.keys, self.graph.node("Cast", x.values, to=self.graph.onnx_type(np.float64)))

    def _norm_and_rotate(self, x: str, name: str, norm: FloatArray, askers: Askers) -> str:
        """x, (batch * n, heads * head_dim), each head normed and rotated: (batch, n, heads * head_dim)."""
        graph, model = self.graph, self.model
        heads = graph.node("Reshape", x, graph.constant([-1, model.sizes.head_dim], np.int64))
        weight = graph.weight(name, norm)
        heads = graph.node("SimplifiedLayerNormalization", heads, weight, axis=-1, epsilon=model.rms_norm_eps)
        hidden = graph.node("Reshape", heads, askers.hidden_shape)
        angles = self.placement.cos, self.placement.sin
        return graph.node("RotaryEmbedding", hidden, askers.position_ids, *angles, domain=MICROSOFT)

    def _kv_head_first(self, x: str, askers: Askers) -> str:
        """Heads of x, (batch, n, heads * head_dim), as (kv_heads, batch, n * group, head_dim)."""
        graph, sizes = self.graph, self.model.sizes
        by_head = graph.node("Transpose", graph.node("Reshape", x, askers.heads_shape), perm=[2, 0, 1, 3])
        return graph.node("Reshape", by_head, graph.constant([0, 0, -1, sizes.head_dim], np.int64))
