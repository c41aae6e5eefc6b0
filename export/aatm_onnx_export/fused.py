"""A graph made for scoring: Qwen3 in ONNX Runtime's fused operators, built straight from a checkpoint's safetensors.

Inputs
    input_ids, attention_mask   (batch, seq) int64, left-padded
    past                        (layers, 2, kv_heads, past, head_dim): keys and values of tokens that stand before every
                                row of the batch, one copy for all
    keep_rows                   (1,) int64: for how many rows to give back `present`
Outputs
    logits    (batch, 2): no, yes, from the last token
    present   (keep_rows, layers, 2, kv_heads, seq, head_dim): each kept row's own keys and values, so that `past`
              followed by present[0] is the `past` of what comes after that row, if the row has no padding

What it leaves out of a plain Qwen3: the last layer's queries, output projection and MLP for all tokens but the last
one, and all rows of lm_head but two.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aatm_onnx.bundle import GRAPH_FILE

from .attention import Attention, KeysValues
from .checkpoint import Checkpoint
from .graphs import GraphKind, parameter_count
from .int4 import Int4Linear
from .int8 import Int8Linear
from .linear import FloatLinear, Linear, Product
from .onnx_graph import MICROSOFT, OnnxGraph, WeightFile
from .placement import Placement, place_tokens
from .qwen3 import Qwen3, read_qwen3
from .residual import add_norm, embed
from .streamed_reference import MeanInputs, float32_logits


def write_graph(
    checkpoint: Checkpoint,
    folder: Path,
    precision: str,
    float_layers: Collection[int] = (),
    weights: WeightFile | None = None,
    mean_inputs: MeanInputs | None = None,
) -> None:
    """Write `model.onnx` and its weights, `model.onnx.data`, into `folder`, one weight after the other.

    Args:
        checkpoint: the model.
        folder: an existing folder.
        precision: a key of `PRECISIONS`.
        float_layers: layers that stay in float16 whatever the precision.
        weights: the data file, if other graphs of this checkpoint are to share it; it stays open.
        mean_inputs: what weights are multiplied with on average, for a precision that makes use of it.

    Raises:
        ExportError: the checkpoint has what this graph can't express, or its weights can't be read.
    """
    graph = OnnxGraph(folder / GRAPH_FILE, file := weights or WeightFile(folder / GRAPH_FILE))
    model, chosen = replace(read_qwen3(checkpoint), mean_inputs=mean_inputs or {}), PRECISIONS[precision]
    layers = range(model.sizes.num_hidden_layers)
    linears = [_STORED_HALF if layer in float_layers else chosen.linear for layer in layers]
    last_down = chosen.last_down if linears[-1] is chosen.linear else linears[-1]
    _Builder(graph, model, linears, last_down, chosen.embedding).build(checkpoint.no_token_id, checkpoint.yes_token_id)
    graph.save()
    if weights is None:
        file.close()


@dataclass(frozen=True)
class Precision:
    """How weights are stored.

    linear: the layers' weights.
    last_down: the last layer's down_proj. One token of a prompt meets it, so float costs no time; and what it does to
        round its inputs with one scale for all, where the largest are, goes straight into the score. int4 has a scale
        for every few inputs and needs no exception.
    embedding: its table's type. It is looked up, not multiplied, so a smaller one is no faster, but takes less memory.
    """

    linear: Linear
    last_down: Linear
    embedding: type[np.number]


_FLOAT, _STORED_HALF, _INT4 = FloatLinear(), FloatLinear(stored=np.float16), Int4Linear()
PRECISIONS = {
    "fp32": Precision(_FLOAT, _FLOAT, np.float32),
    "fp16": Precision(_STORED_HALF, _STORED_HALF, np.float16),
    "int8": Precision(Int8Linear(), _STORED_HALF, np.int8),
    "int4": Precision(_INT4, _INT4, np.int8),
}


@dataclass(frozen=True)
class _Builder:
    graph: OnnxGraph
    model: Qwen3
    linears: Sequence[Linear]  # (layers,)
    last_down: Linear
    embedding: type[np.number]

    def build(self, no_token_id: int, yes_token_id: int) -> None:
        graph, sizes = self.graph, self.model.sizes
        layers, kv_heads, head_dim = sizes.num_hidden_layers, sizes.num_key_value_heads, sizes.head_dim
        ids = graph.input("input_ids", np.int64, ("batch", "seq"))
        mask = graph.input("attention_mask", np.int64, ("batch", "seq"))
        past = graph.input("past", np.float32, (layers, 2, kv_heads, "past", head_dim))
        keep_rows = graph.input("keep_rows", np.int64, (1,))

        last_hidden, kept = self._layers(ids, past, keep_rows, place_tokens(graph, self.model, mask, past))
        logits = graph.node(
            "MatMul", last_hidden, graph.weight("lm_head.no_yes", self.model.head(no_token_id, yes_token_id))
        )
        present = self._present(kept, keep_rows)
        graph.output("logits", logits, np.float32, ("batch", 2))
        graph.output("present", present, np.float32, ("kept", layers, 2, kv_heads, "seq", head_dim))

    def _layers(self, ids: str, past: str, keep_rows: str, placement: Placement) -> tuple[str, list[str]]:
        """The last tokens' hidden states after the final norm, (batch, hidden), and what each layer keeps."""
        graph, last_layer = self.graph, self.model.sizes.num_hidden_layers - 1
        residual, update = embed(graph, self.model, ids, self.embedding), ""
        kept: list[str] = []
        past_by_layer = self._by_layer(past)
        for layer in range(last_layer + 1):
            prefix = f"model.layers.{layer}."
            linear, order_free = self.linears[layer], any(later.rounds_activations for later in self.linears[layer:])
            attention = Attention(graph, self.model, linear, placement, order_free)
            residual, normed = add_norm(graph, self.model, residual, update, prefix + "input_layernorm.weight")
            x, askers = linear.prepare(graph, normed), placement.all
            own = attention.keys_values(prefix + "self_attn.", x)
            kept.append(self._kept(own, keep_rows))
            if layer == last_layer:  # nothing reads what the other tokens would yield
                residual, askers = self._last_tokens(residual, placement), placement.last
                x = linear.prepare(graph, self._last_tokens(normed, placement))
            gathered = attention.attend(prefix + "self_attn.", x, askers, self._past_of(layer, past_by_layer), own)
            gathered = self._after(kept[-1], gathered)
            update = linear.project(graph, Product(gathered), self.model, prefix + "self_attn.o_proj.weight")
            residual, normed = add_norm(graph, self.model, residual, update, prefix + "post_attention_layernorm.weight")
            update = self._mlp(prefix + "mlp.", normed, linear, self.last_down if layer == last_layer else linear)
        return add_norm(graph, self.model, residual, update, "model.norm.weight")[1], kept

    def _last_tokens(self, x: str, placement: Placement) -> str:
        """Each row's last token of x, (batch * seq, hidden), as (batch, hidden)."""
        by_row = self.graph.node("Reshape", x, placement.all.hidden_shape)
        return self.graph.node("Gather", by_row, self.graph.constant(-1, np.int64), axis=1)

    def _mlp(self, prefix: str, x: str, linear: Linear, down: Linear) -> str:
        """down(silu(gate(x)) * up(x)), (tokens, hidden)."""
        graph = self.graph
        prepared = linear.prepare(graph, x)
        gate = linear.apply(graph, prepared, self.model, prefix + "gate_proj.weight").scaled(graph)
        up = linear.apply(graph, prepared, self.model, prefix + "up_proj.weight")
        silu = graph.node("QuickGelu", gate, domain=MICROSOFT, alpha=1.0)  # x * sigmoid(x)
        product = Product(graph.node("Mul", silu, up.values), up.row_scale)
        return down.project(graph, product, self.model, prefix + "down_proj.weight")

    def _by_layer(self, past: str) -> str:
        """The past as (layers * 2, kv_heads, past, head_dim)."""
        graph, sizes = self.graph, self.model.sizes
        leading = graph.constant([sizes.num_hidden_layers * 2, sizes.num_key_value_heads], np.int64)
        shape = graph.node("Concat", leading, graph.node("Shape", past, start=3), axis=0)
        return graph.node("Reshape", past, shape, allowzero=1)

    def _past_of(self, layer: int, by_layer: str) -> KeysValues:
        """One layer's share of the past, (kv_heads, past, head_dim) each, copied once."""
        graph, indices = self.graph, (2 * layer, 2 * layer + 1)
        return KeysValues(*(graph.node("Gather", by_layer, graph.constant(i, np.int64), axis=0) for i in indices))

    def _kept(self, own: KeysValues, keep_rows: str) -> str:
        """Of a layer's keys and values the rows to keep, (2 * kv_heads, kept, seq, head_dim)."""
        start, batch_axis = self.graph.constant([0], np.int64), self.graph.constant([1], np.int64)
        both = [self.graph.node("Slice", x, start, keep_rows, batch_axis) for x in (own.keys, own.values)]
        return self.graph.node("Concat", *both, axis=0)

    def _after(self, kept: str, gathered: str) -> str:
        """What attention gathered, (tokens, heads * head_dim), once `kept` is there: its width is read off that.

        ONNX Runtime would cut out what is kept at the run's end, and until then hold all rows' keys and values of all
        layers, 78 MB for 340 tokens of 0.6B.
        """
        graph, sizes = self.graph, self.model.sizes
        two_kv_heads = graph.node("Gather", graph.node("Shape", kept), graph.constant([0], np.int64), axis=0)
        per_head = graph.constant([self.model.group * sizes.head_dim // 2], np.int64)
        width = graph.node("Mul", two_kv_heads, per_head)
        return graph.node("Reshape", gathered, graph.node("Concat", graph.constant([-1], np.int64), width, axis=0))

    def _present(self, kept: list[str], keep_rows: str) -> str:
        """What all layers keep, (keep_rows, layers, 2, kv_heads, seq, head_dim)."""
        graph, sizes = self.graph, self.model.sizes
        by_row = graph.node("Transpose", graph.node("Concat", *kept, axis=0), perm=[1, 0, 2, 3])
        layers = graph.constant([sizes.num_hidden_layers, 2, sizes.num_key_value_heads], np.int64)
        seq, head_dim = graph.node("Shape", by_row, start=2, end=3), graph.constant([sizes.head_dim], np.int64)
        shape = graph.node("Concat", keep_rows, layers, seq, head_dim, axis=0)
        return graph.node("Reshape", by_row, shape, allowzero=1)


def disk_bytes(checkpoint: Checkpoint, precision: str) -> int:
    """What the weights take on disk at most: rounded ones and float16 ones, while it is found out which are needed."""
    return {"fp32": 4, "int8": 3, "int4": 3}.get(precision, 2) * parameter_count(checkpoint)


FUSED = GraphKind(
    name="fused",
    # Rounded graphs are held to the scores that they had at export. On another machine a float's last bit may round to
    # another step; where attention's sums differed like that, scores of 0.6B moved by up to 0.006.
    tolerances={"fp32": 1e-5, "fp16": 5e-3, "int8": 0.02, "int4": 0.02},
    min_taus={"int8": 0.98, "int4": 0.95},
    requires=("onnx", "onnxruntime"),
    tools=("onnx",),
    reference=float32_logits,
    write=write_graph,
    disk_bytes=disk_bytes,
)
