"""The file to read first: Qwen3 as a graph for ONNX Runtime, from token ids to the logits of "no" and "yes".

Inputs
    input_ids, attention_mask   (batch, seq) int64, left-padded
    past                        (layers, 2, kv_heads, past, head_dim): keys and values of tokens that stand before every
                                row of the batch, one copy for all
    keep_rows                   (1,) int64: for how many rows to give back `present`; in the fused graph rows after
                                these come after them: they see their tokens as they see the past
Outputs
    logits    (batch, 2): no, yes, from the last token
    present   (keep_rows, layers, 2, kv_heads, seq, head_dim): each kept row's own keys and values, so that `past`
              followed by present[0] is the `past` of what comes after that row, if the row has no padding; for CUDA
              those of `past` are before them

It leaves out of a plain Qwen3: the last layer's queries, output projection and MLP of all tokens but the last one, and
all rows of lm_head but two. How attention is computed, and in which types, differs between the fused graph
(attention.py) and the one for CUDA (cuda.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..checkpoint import CheckpointWeights
from .builder import OnnxGraph, Value
from .embedding import embed
from .linear import Activation, Linear
from .norm import ResidualStream


@dataclass(frozen=True)
class Layer:
    """One transformer layer.

    Attributes:
        index: counted from 0.
        is_last: whether it is the last one.
        attention: multiplies q_proj, k_proj, v_proj and o_proj.
        gate_up: multiplies gate_proj and up_proj.
        down: multiplies down_proj.
        batch_invariant: whether its sums must not depend on the batch to the last bit: activations are quantized here
            or later.
    """

    index: int
    is_last: bool
    attention: Linear
    gate_up: Linear
    down: Linear
    batch_invariant: bool

    @property
    def name(self) -> str:
        """What its weights' names start with."""
        return f"model.layers.{self.index}."


@dataclass(frozen=True)
class Inputs:
    """The graph's inputs."""

    token_ids: Value
    mask: Value
    past: Value
    keep_rows: Value


class Attention(Protocol):
    """How tokens look at each other.

    Attributes:
        token_ids: the graph's tokens, in the order in which this attention takes them, (batch, seq).
    """

    token_ids: Value

    def attend(self, layer: Layer, x: Value) -> tuple[Value, list[Value]]:
        """What the tokens that go on gather, (tokens, heads * head_dim), and what is kept of keys and values."""
        ...

    def select(self, layer: Layer, x: Value) -> Value:
        """The tokens of x, (batch * seq, hidden), that go on: all, and in the last layer each row's last."""
        ...

    def present(self, kept: list[Value]) -> Value:
        """What all layers keep, (keep_rows, layers, 2, kv_heads, present_length, head_dim)."""
        ...


class AttentionKind(Protocol):
    """Makes an attention for a graph.

    Attributes:
        past_dtype: the type of `past` and `present`.
        present_length: what the token axis of `present` is called.
        norm_adds: whether the norm's operator adds the update before it too.
    """

    past_dtype: type[np.floating]
    present_length: str
    norm_adds: bool

    def __call__(self, graph: OnnxGraph, weights: CheckpointWeights, inputs: Inputs) -> Attention:
        """Work out what all layers share from the graph's inputs."""
        ...


@dataclass(frozen=True)
class Decoder:
    """Builds the graph.

    Attributes:
        graph: the graph that is built.
        weights: the checkpoint's.
        attention: how tokens look at each other.
        layers: how each layer multiplies.
        embedding: the type of the embedding's table.
        built: called after the embedding and after each layer, with the fraction of these that is done.
    """

    graph: OnnxGraph
    weights: CheckpointWeights
    attention: AttentionKind
    layers: Sequence[Layer]
    embedding: type[np.number]
    built: Callable[[float], object] = lambda fraction: None

    def build(self, no_token_id: int, yes_token_id: int) -> None:
        """Add all nodes, inputs and outputs to the graph."""
        graph, config, dtype = self.graph, self.weights.config, self.attention.past_dtype
        layers, kv_heads, head_dim = config.num_hidden_layers, config.num_key_value_heads, config.head_dim
        inputs = Inputs(
            token_ids=graph.input("input_ids", np.int64, ("batch", "seq")),
            mask=graph.input("attention_mask", np.int64, ("batch", "seq")),
            past=graph.input("past", dtype, (layers, 2, kv_heads, "past", head_dim)),
            keep_rows=graph.input("keep_rows", np.int64, (1,)),
        )
        attention = self.attention(graph, self.weights, inputs)
        last_hidden, kept = self._layers(attention)
        logits = last_hidden @ graph.weight("lm_head.no_yes", self.weights.no_yes_rows(no_token_id, yes_token_id))
        graph.output("logits", logits, np.float32, ("batch", 2))
        length = self.attention.present_length
        graph.output("present", attention.present(kept), dtype, ("kept", layers, 2, kv_heads, length, head_dim))

    def _layers(self, attention: Attention) -> tuple[Value, list[Value]]:
        """The last tokens' hidden states after the final norm, (batch, hidden), and what each layer keeps."""
        embedded = embed(self.graph, self.weights, attention.token_ids, self.embedding)
        stream = ResidualStream(self.graph, self.weights, embedded, self.attention.norm_adds)
        parts = 1 + len(self.layers)
        self.built(1 / parts)
        kept: list[Value] = []
        for layer in self.layers:
            kept += self._layer(layer, stream, attention)
            self.built((layer.index + 2) / parts)
        return stream.norm("model.norm.weight"), kept

    def _layer(self, layer: Layer, stream: ResidualStream, attention: Attention) -> list[Value]:
        """Add one layer to the residual stream; what is kept of its keys and values.

        After the last layer's keys and values nothing reads what tokens other than each row's last would yield: there
        `select` and `attend` go on with these alone.
        """
        x = stream.norm(layer.name + "input_layernorm.weight")
        gathered, kept = attention.attend(layer, x)
        stream.select(lambda total: attention.select(layer, total))
        stream.add(layer.attention.project(Activation(gathered), layer.name + "self_attn.o_proj.weight"))
        if self.weights.shape(layer.name + "mlp.down_proj.weight")[1]:  # not all of its channels are left out
            stream.add(self._mlp(layer, stream.norm(layer.name + "post_attention_layernorm.weight")))
        return kept

    def _mlp(self, layer: Layer, x: Value) -> Value:
        """down(silu(gate(x)) * up(x)), (tokens, hidden)."""
        name, prepared = layer.name + "mlp.", layer.gate_up.prepare(x)
        gate = layer.gate_up.apply(prepared, name + "gate_proj.weight").scaled()
        up = layer.gate_up.apply(prepared, name + "up_proj.weight")
        silu = self.graph.op.QuickGelu(gate, alpha=1.0)  # x * sigmoid(x)
        return layer.down.project(Activation(silu * up.values, up.row_scale), name + "down_proj.weight")
