"""Where a run's tokens stand and which of them each may see: computed once, used by every layer."""

from dataclasses import dataclass

import numpy as np

from .onnx_graph import OnnxGraph
from .qwen3 import Qwen3

_MASKED = -1e30  # far below any score, and so far from float32's end that adding a score can't reach -inf


@dataclass(frozen=True)
class Askers:
    """The tokens whose queries attend, n to a row: all of them (n = seq) or each row's last (n = 1).

    Attributes:
        position_ids: (batch, n) int64, counted from the first real token, the past included.
        bias: added to scores over the row's own tokens, 0 where they may be seen, (batch, n * group or 1, seq).
        hidden_shape: the shape (batch, n, -1).
        heads_shape: the shape (batch, n, kv_heads, -1).
        past_shape: the shape (kv_heads, batch, n * group, past).
        joined_past_shape: the shape (kv_heads, batch * n * group, past).
    """

    position_ids: str
    bias: str
    hidden_shape: str
    heads_shape: str
    past_shape: str
    joined_past_shape: str


@dataclass(frozen=True)
class Placement:
    """A run's tokens.

    Attributes:
        all, last: the tokens that ask in all layers but the last one, and in the last one.
        cos, sin: rotary angles of all places, (past + seq, head_dim / 2).
        lengths: (past, seq), (2,) int64.
    """

    all: Askers
    last: Askers
    cos: str
    sin: str
    lengths: str


def place_tokens(graph: OnnxGraph, model: Qwen3, mask: str, past: str) -> Placement:
    """Add the nodes that work out a run's placement from `attention_mask`, (batch, seq), and `past`, token axis 3."""
    zero, one, last = graph.constant(0, np.int64), graph.constant(1, np.int64), graph.constant([-1], np.int64)
    batch, seq = graph.node("Shape", mask, end=1), graph.node("Shape", mask, start=1)  # (1,) each
    past_length = graph.node("Shape", past, start=3, end=4)
    count = graph.node("Sub", graph.node("CumSum", mask, one), one)  # -1 at padding
    position_ids = graph.node("Add", graph.node("Max", count, zero), past_length)
    all_bias, last_bias = _own_token_bias(graph, model, mask, seq)
    cos, sin = rotary_angles(graph, model, graph.node("Add", past_length, seq))
    return Placement(
        all=_askers(graph, model, position_ids, all_bias, batch, seq, past_length),
        last=_askers(
            graph,
            model,
            graph.node("Gather", position_ids, last, axis=1),
            last_bias,
            batch,
            graph.constant([1], np.int64),
            past_length,
        ),
        cos=cos,
        sin=sin,
        lengths=graph.node("Concat", past_length, seq, axis=0),
    )


def _askers(
    graph: OnnxGraph, model: Qwen3, position_ids: str, bias: str, batch: str, n: str, past_length: str
) -> Askers:
    kv_heads, rest = graph.constant([model.sizes.num_key_value_heads], np.int64), graph.constant([-1], np.int64)
    grouped = graph.node("Mul", n, graph.constant([model.group], np.int64))
    return Askers(
        position_ids=position_ids,
        bias=bias,
        hidden_shape=graph.node("Concat", batch, n, rest, axis=0),
        heads_shape=graph.node("Concat", batch, n, kv_heads, rest, axis=0),
        past_shape=graph.node("Concat", kv_heads, batch, grouped, past_length, axis=0),
        joined_past_shape=graph.node("Concat", kv_heads, graph.node("Mul", batch, grouped), past_length, axis=0),
    )


def _own_token_bias(graph: OnnxGraph, model: Qwen3, mask: str, seq: str) -> tuple[str, str]:
    """The bias of all tokens' queries, (batch, seq * group, seq), and of the last tokens', (batch, 1, seq)."""
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    real = graph.node("Unsqueeze", graph.node("Cast", mask, to=graph.onnx_type(np.bool_)), one)  # (batch, 1, seq)
    keys = graph.node("Range", zero, graph.node("Squeeze", seq), one)  # (seq,)
    queries = graph.node("Mul", graph.node("Unsqueeze", keys, one), graph.constant(np.ones((1, model.group)), np.int64))
    queries = graph.node("Reshape", queries, graph.constant([-1, 1], np.int64))  # (seq * group, 1): each query's place
    seen = graph.node("And", graph.node("LessOrEqual", keys, queries), real)
    visible, masked = graph.constant(0.0, np.float32), graph.constant(_MASKED, np.float32)
    return graph.node("Where", seen, visible, masked), graph.node("Where", real, visible, masked)


def rotary_angles(graph: OnnxGraph, model: Qwen3, places: str) -> tuple[str, str]:
    """Cosine and sine of the angles of places 0 to `places`, (places, head_dim / 2) each, float32 throughout."""
    head_dim = model.sizes.head_dim
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    frequencies = graph.constant(np.float32(1.0) / np.float32(model.rope_theta) ** exponents, np.float32)
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    place = graph.node("Unsqueeze", graph.node("Range", zero, graph.node("Squeeze", places), one), one)
    angles = graph.node("Mul", graph.node("Cast", place, to=graph.onnx_type(np.float32)), frequencies)
    return graph.node("Cos", angles), graph.node("Sin", angles)
