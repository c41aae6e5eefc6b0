"""A graph for NVIDIA GPUs: products and attention in float16, attention fused, residual stream and norms in float32.

Inputs and outputs are the fused graph's (`fused.py`), with the past in float16, and `present` begins with `past`: a
past then need not leave the GPU to be joined with what follows it. On a GPU the fused graph would spend most of its
time on moving attention's scores and float32 copies of float16 products through memory. Here attention is ONNX
Runtime's MultiHeadAttention, which on CUDA becomes flash attention: scores never leave the chip, in float32. That
kernel knows no mask but the causal one, so rows are first turned until their padding stands last, where no real token
looks. (GroupQueryAttention would spare the repetition of keys and values, but takes one row at a time after a past.)
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aatm_onnx.bundle import GRAPH_FILE

from .checkpoint import Checkpoint
from .fused import disk_bytes
from .graphs import GraphKind
from .onnx_graph import MICROSOFT, OnnxGraph, WeightFile, as_type
from .placement import rotary_angles
from .qwen3 import Qwen3, read_qwen3
from .residual import add_norm, embed
from .streamed_reference import float32_logits

# Massive activations come out of products silu(gate) * up that can pass float16's 65504. A power of two moves from the
# up projection's weights into the down projection's: the product has that much more room, and nothing is rounded.
_HEADROOM = 32.0


def write_graph(checkpoint: Checkpoint, folder: Path, precision: str) -> None:
    """Write `model.onnx` and its weights, `model.onnx.data`, into `folder`, one weight after the other.

    Args:
        precision: "fp16", the only one that this graph has.

    Raises:
        ExportError: the checkpoint has what this graph can't express, or its weights can't be read.
    """
    weights = WeightFile(folder / GRAPH_FILE)
    graph = OnnxGraph(folder / GRAPH_FILE, weights)
    _Builder(graph, read_qwen3(checkpoint)).build(checkpoint.no_token_id, checkpoint.yes_token_id)
    graph.save()
    weights.close()


@dataclass(frozen=True)
class _Rows:
    """A batch whose rows are turned: first real tokens, then padding.

    ids: (batch, seq).
    last: the place of each row's last real token, (batch, 1).
    past_length: (1,).
    hidden_shape: the shape (batch, seq, -1).
    past_shape, past_heads_shape: the shapes (batch, kv_heads, group, past, head_dim), (batch, heads, past, head_dim).
    cos, sin: rotary angles of all places, (past + seq, head_dim / 2), float16.
    """

    ids: str
    last: str
    past_length: str
    hidden_shape: str
    past_shape: str
    past_heads_shape: str
    cos: str
    sin: str


@dataclass(frozen=True)
class _Builder:
    graph: OnnxGraph
    model: Qwen3

    def build(self, no_token_id: int, yes_token_id: int) -> None:
        graph, sizes = self.graph, self.model.sizes
        past_shape = (sizes.num_hidden_layers, 2, sizes.num_key_value_heads, "past", sizes.head_dim)
        ids = graph.input("input_ids", np.int64, ("batch", "seq"))
        mask = graph.input("attention_mask", np.int64, ("batch", "seq"))
        past = graph.input("past", np.float16, past_shape)
        keep_rows = graph.input("keep_rows", np.int64, (1,))

        rows = self._turn(ids, mask, past)
        residual, update, kept = embed(graph, self.model, rows.ids, np.float16), "", list[str]()
        for layer in range(sizes.num_hidden_layers):
            prefix = f"model.layers.{layer}."
            residual, normed = add_norm(graph, self.model, residual, update, prefix + "input_layernorm.weight")
            layer_past = graph.node("Gather", past, graph.constant(layer, np.int64), axis=0)
            gathered, keys_values = self._attend(prefix + "self_attn.", self._half(normed), rows, layer_past)
            kept += [self._kept(x, keep_rows) for x in keys_values]
            if layer == sizes.num_hidden_layers - 1:  # nothing reads what the other tokens would yield
                residual, gathered = (self._last_tokens(x, rows) for x in (residual, gathered))
            update = self._float(self._multiply(gathered, prefix + "self_attn.o_proj.weight"))
            residual, normed = add_norm(graph, self.model, residual, update, prefix + "post_attention_layernorm.weight")
            update = self._float(self._mlp(prefix + "mlp.", self._half(normed)))
        _, normed = add_norm(graph, self.model, residual, update, "model.norm.weight")

        logits = graph.node(
            "MatMul", normed, graph.weight("lm_head.no_yes", self.model.head(no_token_id, yes_token_id))
        )
        graph.output("logits", logits, np.float32, ("batch", 2))
        present = self._present(kept)
        graph.output("present", present, np.float16, ("kept", *past_shape[:3], "total", sizes.head_dim))

    def _turn(self, ids: str, mask: str, past: str) -> _Rows:
        """Turn left-padded rows, and work out the shapes that every layer needs."""
        graph, sizes, model = self.graph, self.model.sizes, self.model
        zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
        batch, seq = graph.node("Shape", mask, end=1), graph.node("Shape", mask, start=1)  # (1,) each
        past_length = graph.node("Shape", past, start=3, end=4)
        length = graph.node("ReduceSum", mask, graph.constant([1], np.int64))  # (batch, 1)
        places = graph.node("Range", zero, graph.node("Squeeze", seq), one)  # (seq,)
        source = graph.node("Add", places, graph.node("Sub", seq, length))
        source = graph.node("Min", source, graph.node("Sub", seq, one))  # (batch, seq); the end repeats the last token
        kv_heads, heads, group, head_dim, rest = (
            graph.constant([size], np.int64)
            for size in (sizes.num_key_value_heads, sizes.num_attention_heads, model.group, sizes.head_dim, -1)
        )
        angles = rotary_angles(graph, model, graph.node("Add", past_length, seq))
        cos, sin = (self._half(x) for x in angles)
        return _Rows(
            ids=graph.node("GatherElements", ids, source, axis=1),
            last=graph.node("Sub", length, one),
            past_length=past_length,
            hidden_shape=graph.node("Concat", batch, seq, rest, axis=0),
            past_shape=graph.node("Concat", batch, kv_heads, group, past_length, head_dim, axis=0),
            past_heads_shape=graph.node("Concat", batch, heads, past_length, head_dim, axis=0),
            cos=cos,
            sin=sin,
        )

    def _attend(self, prefix: str, x: str, rows: _Rows, past: str) -> tuple[str, list[str]]:
        """Attention of x, (batch * seq, hidden), over itself and a layer's past, (2, kv_heads, past, head_dim).

        Returns:
            What the tokens gather, (batch * seq, heads * head_dim), and keys and values of past and own tokens,
            (batch, heads, past + seq, head_dim) each.
        """
        graph, sizes = self.graph, self.model.sizes
        queries, keys, values = (self._multiply(x, f"{prefix}{name}_proj.weight") for name in "qkv")
        queries = self._norm_and_rotate(queries, prefix + "q_norm.weight", 1 / math.sqrt(sizes.head_dim), rows)
        keys = self._norm_and_rotate(keys, prefix + "k_norm.weight", 1.0, rows)
        gathered, *keys_values = graph.nodes(
            "MultiHeadAttention",
            queries,
            self._repeat(keys, rows),
            self._repeat(values, rows),
            *("", "", ""),  # no bias, no masks
            *(self._repeat_past(past, i, rows) for i in (0, 1)),
            outputs=3,
            domain=MICROSOFT,
            num_heads=sizes.num_attention_heads,
            scale=1.0,  # the queries have it
            unidirectional=1,
        )
        hidden = sizes.num_attention_heads * sizes.head_dim
        return graph.node("Reshape", gathered, graph.constant([-1, hidden], np.int64)), keys_values

    def _norm_and_rotate(self, x: str, name: str, scale: float, rows: _Rows) -> str:
        """x, (batch * seq, heads * head_dim), each head normed, scaled and rotated: (batch, seq, heads * head_dim)."""
        graph, model = self.graph, self.model
        heads = graph.node("Reshape", x, graph.constant([-1, model.sizes.head_dim], np.int64))
        weight = graph.weight(name, as_type(model.weight(name) * np.float32(scale), np.float16, name))
        normed = graph.node("SimplifiedLayerNormalization", heads, weight, axis=-1, epsilon=model.rms_norm_eps)
        hidden = graph.node("Reshape", normed, rows.hidden_shape)
        return graph.node("RotaryEmbedding", hidden, rows.past_length, rows.cos, rows.sin, domain=MICROSOFT)

    def _repeat(self, x: str, rows: _Rows) -> str:
        """Own keys or values of all tokens, once for every query head: (batch, seq, heads * head_dim)."""
        graph, kv_heads, head_dim = self.graph, self.model.sizes.num_key_value_heads, self.model.sizes.head_dim
        single = graph.node("Reshape", x, graph.constant([-1, kv_heads, 1, head_dim], np.int64))
        repeated = graph.node("Expand", single, graph.constant([1, kv_heads, self.model.group, head_dim], np.int64))
        return graph.node("Reshape", repeated, rows.hidden_shape)

    def _repeat_past(self, past: str, which: int, rows: _Rows) -> str:
        """Keys (0) or values (1) of a layer's past, once for every row and query head."""
        graph = self.graph
        single = graph.node("Gather", past, graph.constant([which], np.int64), axis=0)  # (1, kv_heads, past, head_dim)
        single = graph.node("Unsqueeze", single, graph.constant([2], np.int64))
        repeated = graph.node("Expand", single, rows.past_shape)
        return graph.node("Reshape", repeated, rows.past_heads_shape, allowzero=1)

    def _mlp(self, prefix: str, x: str) -> str:
        """down(silu(gate(x)) * up(x)), (tokens, hidden) float16."""
        graph = self.graph
        gate = self._multiply(x, prefix + "gate_proj.weight")
        up = self._multiply(x, prefix + "up_proj.weight", 1 / _HEADROOM)
        silu = graph.node("QuickGelu", gate, domain=MICROSOFT, alpha=1.0)  # x * sigmoid(x)
        return self._multiply(graph.node("Mul", silu, up), prefix + "down_proj.weight", _HEADROOM)

    def _last_tokens(self, x: str, rows: _Rows) -> str:
        """Each row's last real token of x, (batch * seq, features), as (batch, features)."""
        by_row = self.graph.node("Reshape", x, rows.hidden_shape)
        return self.graph.node("GatherND", by_row, rows.last, batch_dims=1)

    def _kept(self, x: str, keep_rows: str) -> str:
        """Of a layer's keys or values only the rows to keep, each head once: (kept, 1, kv_heads, total, head_dim)."""
        graph, group = self.graph, self.model.group
        start, row_axis, head_axis = (graph.constant([number], np.int64) for number in (0, 0, 1))
        rows = graph.node("Slice", x, start, keep_rows, row_axis)
        every = (graph.constant([number], np.int64) for number in (self.model.sizes.num_attention_heads, 1, group))
        return graph.node("Unsqueeze", graph.node("Slice", rows, start, *every), head_axis)

    def _present(self, kept: list[str]) -> str:
        """All layers' kept keys and values as (kept, layers, 2, kv_heads, total, head_dim)."""
        graph, sizes = self.graph, self.model.sizes
        joined = graph.node("Concat", *kept, axis=1)  # (kept, layers * 2, kv_heads, total, head_dim)
        layers = graph.constant([sizes.num_hidden_layers, 2], np.int64)
        rows, rest = graph.node("Shape", joined, end=1), graph.node("Shape", joined, start=2)
        return graph.node("Reshape", joined, graph.node("Concat", rows, layers, rest, axis=0), allowzero=1)

    def _multiply(self, x: str, name: str, scale: float = 1.0) -> str:
        """x @ weight.T * scale in float16."""
        weight = as_type(self.model.weight(name) * np.float32(scale), np.float16, name)
        return self.graph.node("MatMul", x, self.graph.weight(name, weight.T))

    def _half(self, x: str) -> str:
        return self.graph.node("Cast", x, to=self.graph.onnx_type(np.float16))

    def _float(self, x: str) -> str:
        return self.graph.node("Cast", x, to=self.graph.onnx_type(np.float32))


CUDA = GraphKind(
    name="cuda",
    tolerances={"fp16": 5e-3},
    min_taus={},
    requires=("onnx", "onnxruntime"),
    tools=("onnx",),
    reference=float32_logits,
    write=write_graph,
    disk_bytes=disk_bytes,
)
