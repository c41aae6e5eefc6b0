"""Where a run's tokens stand and which of them each may see: computed once, used by every layer."""

from dataclasses import dataclass

import numpy as np

from ..checkpoint import CheckpointWeights
from .builder import OnnxGraph, Value

_MASKED = -1e30  # far below any score, and so far from float32's end that adding a score can't reach -inf


@dataclass(frozen=True)
class Queries:
    """The tokens whose queries attend, n to a row: all of them (n = seq) or each row's last (n = 1).

    Attributes:
        position_ids: (batch, n) int64, counted from the first real token, with what stands before the row.
        bias: added to scores over the row's own tokens, 0 where they may be seen, (batch, n * group or 1, seq).
        hidden_shape: the shape (batch, n, -1).
        batch: (1,).
        n: (1,).
        grouped: n * group, (1,).
    """

    position_ids: Value
    bias: Value
    hidden_shape: Value
    batch: Value
    n: Value | list[int]
    grouped: Value

    def heads_shape(self, kv_heads: int) -> Value:
        """The shape (batch, n, kv_heads, -1)."""
        return self.batch.graph.op.Concat(self.batch, self.n, [kv_heads, -1], axis=0)

    def shape_over(self, kv_heads: int, keys: Value) -> Value:
        """The shape (kv_heads, batch, n * group, keys)."""
        return self.batch.graph.op.Concat([kv_heads], self.batch, self.grouped, keys, axis=0)


@dataclass(frozen=True)
class Positions:
    """A run's tokens.

    Attributes:
        all: the tokens whose queries attend in all layers but the last one.
        last: the tokens whose queries attend in the last one.
        cos: cosines of the rotary angles of all positions, (past + lead + seq, head_dim / 2).
        sin: their sines.
        past: how many tokens stand before every row, (1,).
        lead_rows: how many rows, the first of the batch, stand before the others, (1,).
        lead: how many places these have, (1,).
        lead_bias: added to scores over these, 0 where they may be seen, (batch, 1, lead).
        lengths: (past + lead, seq), (2,) int64.
    """

    all: Queries
    last: Queries
    cos: Value
    sin: Value
    past: Value
    lead_rows: Value
    lead: Value
    lead_bias: Value
    lengths: Value


def positions_of(graph: OnnxGraph, weights: CheckpointWeights, mask: Value, past: Value, keep_rows: Value) -> Positions:
    """Work out positions from `attention_mask`, (batch, seq), `past`, token axis 3, and `keep_rows`, (1,)."""
    op = graph.op
    batch, seq = op.Shape(mask, end=1), op.Shape(mask, start=1)  # (1,) each
    past_length = op.Shape(past, start=3, end=4)
    lead_rows = op.Where(op.Greater(batch, keep_rows), keep_rows, [0])  # none, if no row follows
    lead_mask = op.Slice(mask, [0], lead_rows, [0])  # (lead_rows, seq)
    follows = op.Unsqueeze(op.GreaterOrEqual(op.Range(0, op.Squeeze(batch), 1), lead_rows), 1)  # (batch, 1)
    after_lead = follows.cast(np.int64) * op.ReduceSum(lead_mask, keepdims=0)
    position_ids = op.Max(op.CumSum(mask, 1) - 1, 0) + past_length + after_lead  # 0 at padding
    lead_real = op.Reshape(lead_mask, [1, -1]).cast(np.bool_)  # (1, lead)
    lead = op.Shape(lead_real, start=1)
    lead_bias = op.Where(op.Unsqueeze(op.And(follows, lead_real), 1), 0.0, _MASKED)  # (batch, 1, lead)

    def queries(position_ids: Value, bias: Value, n: Value | list[int]) -> Queries:
        return Queries(
            position_ids=position_ids,
            bias=bias,
            hidden_shape=op.Concat(batch, n, [-1], axis=0),
            batch=batch,
            n=n,
            grouped=op.Mul(n, [weights.group]),
        )

    real = op.Unsqueeze(mask.cast(np.bool_), 1)  # (batch, 1, seq)
    cos, sin = rotary_angles(graph, weights, past_length + lead + seq)
    return Positions(
        all=queries(position_ids, _causal_bias(graph, weights, real, seq), seq),
        last=queries(op.Gather(position_ids, [-1], axis=1), op.Where(real, 0.0, _MASKED), [1]),
        cos=cos,
        sin=sin,
        past=past_length,
        lead_rows=lead_rows,
        lead=lead,
        lead_bias=lead_bias,
        lengths=op.Concat(past_length + lead, seq, axis=0),
    )


def _causal_bias(graph: OnnxGraph, weights: CheckpointWeights, real: Value, seq: Value) -> Value:
    """The bias of all tokens' queries, (batch, seq * group, seq); `real` is (batch, 1, seq)."""
    op = graph.op
    keys = op.Range(0, op.Squeeze(seq), 1)  # (seq,)
    queries = op.Unsqueeze(keys, 1) * np.ones((1, weights.group), np.int64)
    queries = op.Reshape(queries, [-1, 1])  # (seq * group, 1): each query's position among the row's tokens
    return op.Where(op.And(op.LessOrEqual(keys, queries), real), 0.0, _MASKED)


def rotary_angles(graph: OnnxGraph, weights: CheckpointWeights, positions: Value) -> tuple[Value, Value]:
    """Cosine and sine of the angles of the first `positions` positions, (positions, head_dim / 2) each, float32."""
    op, head_dim = graph.op, weights.config.head_dim
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    frequencies = np.float32(1.0) / np.float32(weights.rope_theta) ** exponents
    position = op.Unsqueeze(op.Range(0, op.Squeeze(positions), 1), 1)
    angles = position.cast(np.float32) * frequencies
    return op.Cos(angles), op.Sin(angles)
