"""A graph for NVIDIA GPUs: products and attention in float16, attention fused, residual stream and norms in float32.

Inputs and outputs are the fused graph's (decoder.py), with the past in float16, and `present` starts with `past`: a
past then need not leave the GPU to be joined with what follows it. On a GPU the fused graph would spend most of its
time on moving attention's scores and float32 copies of float16 products through memory. Here attention is ONNX
Runtime's MultiHeadAttention, which on CUDA becomes flash attention: scores never leave the chip, in float32. That
kernel knows no mask but the causal one, so rows are first turned until their padding stands last, where no real token
looks. (GroupQueryAttention would spare the repetition of keys and values, but takes one row at a time after a past.)
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aatm_onnx.bundle import GRAPH_FILE

from ..checkpoint import Checkpoint, CheckpointWeights, read_weights
from .builder import OnnxGraph, Value
from .decoder import Decoder, Inputs, Layer
from .linear import HalfLinear
from .positions import rotary_angles
from .weight_file import WeightFile, as_type

# Massive activations come out of products silu(gate) * up that can pass float16's 65504. A power of two moves from the
# up projection's weights into the down projection's: the product has that much more room, and nothing is rounded.
_HEADROOM = 32.0


def write_graph(
    checkpoint: Checkpoint, folder: Path, precision: str, built: Callable[[float], object] = lambda fraction: None
) -> None:
    """Write `model.onnx` and its weights, `model.onnx.data`, into `folder`, one weight after the other.

    Args:
        checkpoint: the model.
        folder: an existing folder.
        precision: "fp16", the only one that this graph has.
        built: called after the embedding and after each layer, with the fraction of these that is done.

    Raises:
        ExportError: the checkpoint has what this graph can't express, or its weights can't be read.
    """
    weights = _with_headroom(read_weights(checkpoint))
    file = WeightFile(folder / GRAPH_FILE)
    graph = OnnxGraph(folder / GRAPH_FILE, file)
    linear, last = HalfLinear(graph, weights), weights.config.num_hidden_layers - 1
    layers = [Layer(index, index == last, linear, linear, linear, batch_invariant=False) for index in range(last + 1)]
    decoder = Decoder(graph, weights, CudaAttention, layers, np.float16, built)
    decoder.build(checkpoint.no_token_id, checkpoint.yes_token_id)
    graph.save()
    file.close()


def _with_headroom(weights: CheckpointWeights) -> CheckpointWeights:
    """The weights of up_proj divided by `_HEADROOM`, and those of down_proj multiplied by it."""
    names = [f"model.layers.{layer}.mlp." for layer in range(weights.config.num_hidden_layers)]
    size = weights.config.intermediate_size
    return weights.rescaled(
        output_scales={name + "up_proj.weight": np.full(size, 1 / _HEADROOM, np.float32) for name in names},
        input_scales={name + "down_proj.weight": np.full(size, _HEADROOM, np.float32) for name in names},
    )


class CudaAttention:
    """Builds the attention of every layer; `present` has the past's keys and values too."""

    past_dtype = np.float16
    present_length = "total"
    norm_adds = True

    def __init__(self, graph: OnnxGraph, weights: CheckpointWeights, inputs: Inputs) -> None:
        """Turn left-padded rows until their padding stands last, and work out the shapes that every layer needs."""
        op, config = graph.op, weights.config
        self.graph, self.op, self.weights, self.config = graph, op, weights, config
        self.past, self.keep_rows = inputs.past, inputs.keep_rows
        batch, seq = op.Shape(inputs.mask, end=1), op.Shape(inputs.mask, start=1)  # (1,) each
        self.past_length = op.Shape(inputs.past, start=3, end=4)
        length = op.ReduceSum(inputs.mask, [1])  # (batch, 1)
        source = op.Range(0, op.Squeeze(seq), 1) + (seq - length)
        source = op.Min(source, seq - 1)  # (batch, seq); the end repeats the last token
        self.token_ids = op.GatherElements(inputs.token_ids, source, axis=1)
        self.last = length - 1  # each row's last real token, (batch, 1)
        self.hidden_shape = op.Concat(batch, seq, [-1], axis=0)
        kv_heads, heads, head_dim = [config.num_key_value_heads], [config.num_attention_heads], [config.head_dim]
        self.past_shape = op.Concat(batch, kv_heads, [weights.group], self.past_length, head_dim, axis=0)
        self.past_heads_shape = op.Concat(batch, heads, self.past_length, head_dim, axis=0)
        cos, sin = rotary_angles(graph, weights, self.past_length + seq)
        self.cos, self.sin = cos.cast(np.float16), sin.cast(np.float16)

    def attend(self, layer: Layer, x: Value) -> tuple[Value, list[Value]]:
        """What tokens gather, for the output projection, and what the layer gives back of its keys and values.

        Args:
            layer: the layer.
            x: its normed input, (batch * seq, hidden).

        Returns:
            (batch * seq, heads * head_dim), only of each row's last token in the last layer, and
            two values (kept, 1, kv_heads, total, head_dim).
        """
        op, config, name = self.op, self.config, layer.name + "self_attn."
        prepared = layer.attention.prepare(x)
        queries, keys, values = (layer.attention.apply(prepared, f"{name}{each}_proj.weight").values for each in "qkv")
        queries = self._norm_and_rotate(queries, name + "q_norm.weight", 1 / math.sqrt(config.head_dim))
        keys = self._norm_and_rotate(keys, name + "k_norm.weight", 1.0)
        past = op.Gather(self.past, layer.index, axis=0)
        gathered, *keys_values = self.graph.nodes(
            "MultiHeadAttention",
            queries,
            self._repeat(keys),
            self._repeat(values),
            *(None, None, None),  # no bias, no masks
            *(self._repeat_past(past, which) for which in (0, 1)),
            outputs=3,
            num_heads=config.num_attention_heads,
            scale=1.0,  # the queries have it
            unidirectional=1,
        )
        gathered = op.Reshape(gathered, [-1, config.num_attention_heads * config.head_dim])
        return self.select(layer, gathered), [self._kept(each) for each in keys_values]

    def select(self, layer: Layer, x: Value) -> Value:
        """The tokens of x, (batch * seq, features), that go on: all, and in the last layer each row's last real one."""
        if not layer.is_last:
            return x
        return self.op.GatherND(self.op.Reshape(x, self.hidden_shape), self.last, batch_dims=1)

    def present(self, kept: list[Value]) -> Value:
        """All layers' kept keys and values as (kept, layers, 2, kv_heads, total, head_dim)."""
        op = self.op
        joined = op.Concat(*kept, axis=1)  # (kept, layers * 2, kv_heads, total, head_dim)
        layers = [self.config.num_hidden_layers, 2]
        shape = op.Concat(op.Shape(joined, end=1), layers, op.Shape(joined, start=2), axis=0)
        return op.Reshape(joined, shape, allowzero=1)

    def _norm_and_rotate(self, x: Value, name: str, scale: float) -> Value:
        """x, (batch * seq, heads * head_dim), each head normed, scaled and rotated: (batch, seq, heads * head_dim)."""
        op = self.op
        heads = op.Reshape(x, [-1, self.config.head_dim])
        weight = self.graph.weight(name, as_type(self.weights.whole(name) * np.float32(scale), np.float16, name))
        normed = op.SimplifiedLayerNormalization(heads, weight, axis=-1, epsilon=self.weights.rms_norm_eps)
        return op.RotaryEmbedding(op.Reshape(normed, self.hidden_shape), self.past_length, self.cos, self.sin)

    def _repeat(self, x: Value) -> Value:
        """Own keys or values of all tokens, once for every query head: (batch, seq, heads * head_dim)."""
        op, kv_heads, head_dim = self.op, self.config.num_key_value_heads, self.config.head_dim
        single = op.Reshape(x, [-1, kv_heads, 1, head_dim])
        repeated = op.Expand(single, [1, kv_heads, self.weights.group, head_dim])
        return op.Reshape(repeated, self.hidden_shape)

    def _repeat_past(self, past: Value, which: int) -> Value:
        """Keys (0) or values (1) of a layer's past, once for every row and query head."""
        op = self.op
        single = op.Unsqueeze(op.Gather(past, [which], axis=0), [2])  # (1, kv_heads, 1, past, head_dim)
        return op.Reshape(op.Expand(single, self.past_shape), self.past_heads_shape, allowzero=1)

    def _kept(self, x: Value) -> Value:
        """Of a layer's keys or values only the rows to keep, each head once: (kept, 1, kv_heads, total, head_dim)."""
        op = self.op
        rows = op.Slice(x, [0], self.keep_rows, [0])
        heads = op.Slice(rows, [0], [self.config.num_attention_heads], [1], [self.weights.group])
        return op.Unsqueeze(heads, [1])
