"""The fused graph: Qwen3 in ONNX Runtime's fused operators, for every precision."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aatm_onnx.bundle import GRAPH_FILE

from ..checkpoint import Checkpoint, CheckpointWeights, parameter_count, read_weights
from .attention import FusedAttention
from .builder import OnnxGraph
from .decoder import Decoder, Layer
from .int4 import Int4Linear
from .int8 import Int8Linear
from .linear import FloatLinear, Linear
from .smoothing import InputStatistics
from .weight_file import WeightFile
from .zeros import without_zeros

# An embedding is looked up, not multiplied, so a smaller one is no faster, but takes less memory.
_EMBEDDINGS: dict[str, type[np.number]] = {"fp32": np.float32, "fp16": np.float16, "int8": np.int8, "int4": np.int8}


@dataclass(frozen=True)
class Storage:
    """How weights are stored.

    Attributes:
        precision: "fp32", "fp16", "int8" or "int4".
        float_layers: layers that stay in float16 whatever the precision.
        float_weights: kinds of weights that stay in float16 in every layer: "gate_up", "down".
        fine_scales: int4: half as many inputs as usual share a scale.
        inputs: what weights meet, where that is known.
    """

    precision: str
    float_layers: frozenset[int] = frozenset()
    float_weights: frozenset[str] = frozenset()
    fine_scales: bool = False
    inputs: InputStatistics = field(default_factory=InputStatistics)

    def layers(self, graph: OnnxGraph, weights: CheckpointWeights) -> list[Layer]:
        """How each layer of a graph multiplies.

        The last layer's down_proj stays in float16 in int8: one token of a prompt meets it, so float costs no time; and
        what it does to quantize its inputs with one scale for all, where the largest are, goes straight into the score.
        int4 has a scale for every few inputs and needs no exception.
        """
        chosen = self._linear(graph, weights)
        half = FloatLinear(graph, weights, np.float16)
        last = weights.config.num_hidden_layers - 1
        layers: list[Layer] = []
        for index in range(last + 1):
            linear = half if index in self.float_layers else chosen
            gate_up = half if "gate_up" in self.float_weights else linear
            down_in_float = "down" in self.float_weights or (self.precision == "int8" and index == last)
            quantized_from_here = index <= max(set(range(last + 1)) - self.float_layers, default=-1)
            layers.append(
                Layer(
                    index=index,
                    is_last=index == last,
                    attention=linear,
                    gate_up=gate_up,
                    down=half if down_in_float else linear,
                    batch_invariant=chosen.quantizes_activations and quantized_from_here,
                )
            )
        return layers

    def _linear(self, graph: OnnxGraph, weights: CheckpointWeights) -> Linear:
        match self.precision:
            case "fp32":
                return FloatLinear(graph, weights)
            case "fp16":
                return FloatLinear(graph, weights, np.float16)
            case "int8":
                return Int8Linear(graph, weights, self.inputs)
            case _:
                return Int4Linear(graph, weights, self.inputs.mean, self.fine_scales)


def write_graph(
    checkpoint: Checkpoint,
    folder: Path,
    storage: Storage,
    *,
    weights: CheckpointWeights | None = None,
    file: WeightFile | None = None,
    built: Callable[[float], object] = lambda fraction: None,
) -> None:
    """Write `model.onnx` and its weights, `model.onnx.data`, into `folder`, one weight after the other.

    Args:
        checkpoint: the model.
        folder: an existing folder.
        storage: how weights are stored.
        weights: the checkpoint's weights, if some are rescaled.
        file: the data file, if other graphs of these weights are to share it; it stays open.
        built: called after the embedding and after each layer, with the fraction of these that is done.

    Raises:
        ExportError: the checkpoint has what this graph can't express, or its weights can't be read.
    """
    weights = weights or read_weights(checkpoint)
    if storage.precision in ("fp32", "fp16"):  # quantized, a block of a weight's inputs shares scales
        weights = without_zeros(weights)
    graph = OnnxGraph(folder / GRAPH_FILE, opened := file or WeightFile(folder / GRAPH_FILE))
    layers = storage.layers(graph, weights)
    decoder = Decoder(graph, weights, FusedAttention, layers, _EMBEDDINGS[storage.precision], built)
    decoder.build(checkpoint.no_token_id, checkpoint.yes_token_id)
    graph.save()
    if file is None:
        opened.close()


def disk_bytes(checkpoint: Checkpoint, precision: str) -> int:
    """What the weights take on disk at most: quantized and in float16, while it is found out which are needed."""
    return {"fp32": 4, "int8": 3, "int4": 3}.get(precision, 2) * parameter_count(checkpoint)
