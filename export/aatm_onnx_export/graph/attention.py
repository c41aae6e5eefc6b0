"""The fused graph's attention: a batch of rows over their own tokens and over one shared past.

Every array of heads is laid out (kv_heads, batch, ...): then the queries of all rows that use one key/value head form
one matrix and meet the shared keys in a single product, without a copy of those keys for each row. The scores of the
past and of the row's own tokens are joined before the softmax, so the result is attention over the whole sequence.
"""

import math
from dataclasses import dataclass

import numpy as np

from aatm_onnx.runtime.session import LEADS

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import OnnxGraph, Value
from .decoder import Inputs, Layer
from .linear import Activation
from .positions import Queries, positions_of
from .zeros import Part, cut, kept_heads, pad


@dataclass(frozen=True)
class KeysValues:
    """A layer's keys and values: of rows' own tokens, (kv_heads, batch, seq, head_dim); of the past, without batch."""

    keys: Value
    values: Value


class FusedAttention:
    """Builds the attention of every layer; `present` has a run's own keys and values."""

    past_dtype = np.float32
    present_length = "seq"
    norm_adds = False

    def __init__(self, graph: OnnxGraph, weights: CheckpointWeights, inputs: Inputs) -> None:
        """Work out what all layers share from the graph's inputs."""
        self.graph, self.op, self.weights, self.config = graph, graph.op, weights, weights.config
        graph.metadata[LEADS] = "yes"
        self.token_ids = inputs.token_ids
        self.keep_rows = inputs.keep_rows
        self.positions = positions_of(graph, weights, inputs.mask, inputs.past, inputs.keep_rows)
        # The past as (layers * 2, kv_heads, past, head_dim).
        leading = [self.config.num_hidden_layers * 2, self.config.num_key_value_heads]
        shape = self.op.Concat(leading, self.op.Shape(inputs.past, start=3), axis=0)
        self.past = self.op.Reshape(inputs.past, shape, allowzero=1)

    def attend(self, layer: Layer, x: Value) -> tuple[Value, list[Value]]:
        """What tokens gather, for the output projection, and what the layer gives back of its keys and values.

        Args:
            layer: the layer.
            x: its normed input, (batch * seq, hidden).

        Returns:
            (batch * n, heads * head_dim), only of each row's last token in the last layer, and one value
            (2 * kv_heads, kept, seq, head_dim).
        """
        heads = kept_heads(self.weights, layer.index)
        own = self._keys_values(layer, layer.attention.prepare(x))
        past = KeysValues(*(self._past(2 * layer.index + i, heads) for i in (0, 1)))
        kept = [self.op.Slice(x, [0], self.keep_rows, [1]) for x in (own.keys, own.values)]
        lead = KeysValues(*(self._lead(x) for x in kept))
        present = self.op.Concat(*(pad(x, heads, self.config.num_key_value_heads, axis=0) for x in kept), axis=0)
        tokens = self.positions.last if layer.is_last else self.positions.all
        queries = self._queries(layer, layer.attention.prepare(self.select(layer, x)), tokens)
        gathered = self._gather(layer, queries, tokens, past, lead, own)
        return self._after(present, layer, self._merge_heads(layer, gathered)), [present]

    def select(self, layer: Layer, x: Value) -> Value:
        """The tokens of x, (batch * seq, hidden), that go on: all, and in the last layer each row's last."""
        if not layer.is_last:
            return x
        return self.op.Gather(self.op.Reshape(x, self.positions.all.hidden_shape), -1, axis=1)

    def present(self, kept: list[Value]) -> Value:
        """What all layers keep, (keep_rows, layers, 2, kv_heads, seq, head_dim)."""
        op, config = self.op, self.config
        by_row = op.Transpose(op.Concat(*kept, axis=0), perm=[1, 0, 2, 3])
        layers = [config.num_hidden_layers, 2, config.num_key_value_heads]
        shape = op.Concat(self.keep_rows, layers, op.Shape(by_row, start=2, end=3), [config.head_dim], axis=0)
        return op.Reshape(by_row, shape, allowzero=1)

    def _kv_heads(self, layer: Layer) -> int:
        first, stop = kept_heads(self.weights, layer.index)
        return stop - first

    def _past(self, index: int, heads: Part) -> Value:
        """Keys or values of what stands before every row, (kv_heads, past, head_dim)."""
        return cut(self.op.Gather(self.past, index, axis=0), heads, self.config.num_key_value_heads, axis=0)

    def _lead(self, kept: Value) -> Value:
        """Keys or values of the rows that stand before the others, (kv_heads, lead, head_dim)."""
        return self.op.Reshape(self.op.Slice(kept, [0], self.positions.lead_rows, [1]), [0, -1, self.config.head_dim])

    def _keys_values(self, layer: Layer, x: Activation) -> KeysValues:
        """Keys, normed and rotated, and values of x, (batch * seq, hidden)."""
        # k and q go through RMSNorm, which does not see a row's scale: it need not be multiplied in.
        name, tokens = layer.name + "self_attn.", self.positions.all
        keys = layer.attention.apply(x, name + "k_proj.weight").values
        keys = self._norm_and_rotate(keys, name + "k_norm.weight", self.weights.whole(name + "k_norm.weight"), tokens)
        values = layer.attention.apply(x, name + "v_proj.weight").scaled()
        return KeysValues(*(self._kv_head_first(layer, x, tokens) for x in (keys, values)))

    def _queries(self, layer: Layer, x: Activation, tokens: Queries) -> Value:
        """Queries of x, (batch * n, hidden), normed, rotated and divided by sqrt(head_dim)."""
        name = layer.name + "self_attn."
        queries = layer.attention.apply(x, name + "q_proj.weight").values
        norm = self.weights.whole(name + "q_norm.weight") / np.float32(math.sqrt(self.config.head_dim))
        return self._kv_head_first(layer, self._norm_and_rotate(queries, name + "q_norm.weight", norm, tokens), tokens)

    def _gather(
        self, layer: Layer, queries: Value, tokens: Queries, past: KeysValues, lead: KeysValues, own: KeysValues
    ) -> Value:
        """softmax(queries . keys) . values over past, lead and own tokens, shaped as queries (`_kv_head_first`)."""
        op, heads = self.op, self._kv_heads(layer)
        own_scores = op.FusedMatMul(queries, own.keys, transB=1) + tokens.bias  # (kv_heads, batch, n * group, seq)
        joined = op.Reshape(queries, [heads, -1, self.config.head_dim])  # all rows in one matrix
        past_scores = op.FusedMatMul(joined, past.keys, transB=1)
        past_scores = op.Reshape(past_scores, tokens.shape_over(heads, self.positions.past), allowzero=1)
        lead_scores = op.FusedMatMul(joined, lead.keys, transB=1)
        lead_scores = op.Reshape(lead_scores, tokens.shape_over(heads, self.positions.lead), allowzero=1)
        lead_scores = lead_scores + self.positions.lead_bias
        # (kv_heads, batch, n * group, past + lead + seq)
        scores = op.Concat(past_scores, lead_scores, own_scores, axis=-1)
        before = op.Concat(past.values, lead.values, axis=1)  # (kv_heads, past + lead, head_dim)
        if not layer.batch_invariant:
            return self._weigh(op.Softmax(scores, axis=-1), before, own.values, queries, tokens)
        weights, total = self._batch_invariant_softmax(scores)
        gathered = self._weigh(weights, before.cast(np.float64), own.values.cast(np.float64), queries, tokens)
        return gathered.cast(np.float32) / total.cast(np.float32)

    def _batch_invariant_softmax(self, scores: Value) -> tuple[Value, Value]:
        """Softmax's numerators, shaped as the scores, and its denominator, in float64.

        What is shared and how a row is padded decide in which order these sums are added up. In float32 the last bit
        would show it, a quantizer would now and then round that bit to another step, and after some layers two runs of
        one prompt would differ by a third of what eight bits cost (0.006 in a score of 0.6B). Rounded to float32 only
        at the end, they are equal to the bit.
        """
        op = self.op
        weights = op.Exp(scores - op.ReduceMax(scores, [-1])).cast(np.float64)
        return weights, op.ReduceSum(weights, [-1])

    def _weigh(self, weights: Value, before: Value, own: Value, queries: Value, tokens: Queries) -> Value:
        """Values, those of what stands before all rows and rows' own, weighed and added up, shaped as queries."""
        op, lengths = self.op, self.positions.lengths
        before_weights, own_weights = self.graph.nodes("Split", weights, lengths, outputs=2, axis=-1)
        heads, places = op.Shape(before, end=1), op.Shape(before, start=1, end=2)
        joined = op.Concat(heads, tokens.batch * tokens.grouped, places, axis=0)  # all rows in one matrix
        from_before = op.Reshape(before_weights, joined, allowzero=1) @ before
        return own_weights @ own + op.Reshape(from_before, op.Shape(queries))

    def _norm_and_rotate(self, x: Value, name: str, norm: FloatArray, tokens: Queries) -> Value:
        """x, (batch * n, heads * head_dim), each head normed and rotated: (batch, n, heads * head_dim)."""
        op, weight = self.op, self.graph.weight(name, norm)
        heads = op.Reshape(x, [-1, self.config.head_dim])
        heads = op.SimplifiedLayerNormalization(heads, weight, axis=-1, epsilon=self.weights.rms_norm_eps)
        hidden = op.Reshape(heads, tokens.hidden_shape)
        return op.RotaryEmbedding(hidden, tokens.position_ids, self.positions.cos, self.positions.sin)

    def _kv_head_first(self, layer: Layer, x: Value, tokens: Queries) -> Value:
        """Heads of x, (batch, n, heads * head_dim), as (kv_heads, batch, n * group, head_dim)."""
        kv_heads = self._kv_heads(layer)
        if kv_heads == 1:  # nothing to transpose
            return self.op.Reshape(x, self.op.Concat([1], tokens.batch, [-1, self.config.head_dim], axis=0))
        by_head = self.op.Transpose(self.op.Reshape(x, tokens.heads_shape(kv_heads)), perm=[2, 0, 1, 3])
        return self.op.Reshape(by_head, [0, 0, -1, self.config.head_dim])

    def _merge_heads(self, layer: Layer, gathered: Value) -> Value:
        """Heads shaped as queries as (batch * n, heads * head_dim)."""
        op, kv_heads, size = self.op, self._kv_heads(layer), self.weights.group * self.config.head_dim
        if kv_heads == 1:
            return op.Reshape(gathered, [-1, size])
        grouped = op.Reshape(gathered, [kv_heads, 0, -1, size])
        by_token = op.Transpose(grouped, perm=[1, 2, 0, 3])
        return op.Reshape(by_token, [-1, kv_heads * size])

    def _after(self, kept: Value, layer: Layer, gathered: Value) -> Value:
        """What attention gathered, (tokens, heads * head_dim), once `kept` is there: its width is read off that.

        ONNX Runtime would cut out what is kept at the run's end, and until then hold all rows' keys and values of all
        layers, 78 MB for 340 tokens of 0.6B.
        """
        op, size = self.op, self.weights.group * self.config.head_dim
        two_kv_heads = op.Gather(op.Shape(kept), [0], axis=0)
        width = two_kv_heads * [self._kv_heads(layer) * size] / [2 * self.config.num_key_value_heads]
        return op.Reshape(gathered, op.Concat([-1], width, axis=0))
