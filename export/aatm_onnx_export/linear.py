"""Linear layers of the fused graph: how weights are stored, and what multiplies with them.

An activation is prepared once and then meets every weight that needs it (q, k and v; gate and up). A product may come
out with each row divided by a factor, for what follows may not need that factor: see `Product`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .onnx_graph import OnnxGraph
from .qwen3 import Qwen3


@dataclass(frozen=True)
class Product:
    """Activations (tokens, features), each row still to be multiplied by its `row_scale`, (tokens, 1), if any."""

    values: str
    row_scale: str | None = None

    def scaled(self, graph: OnnxGraph) -> str:
        """The true activations."""
        return self.values if self.row_scale is None else graph.node("Mul", self.values, self.row_scale)


class Linear(Protocol):
    """One way to store and apply the weights of all linear layers.

    rounds_activations: whether it rounds them to few steps, so that a difference in a float's last bit can grow.
    """

    @property
    def rounds_activations(self) -> bool: ...

    def prepare(self, graph: OnnxGraph, x: str) -> Product:
        """Bring activations (tokens, in) into the form that `apply` takes."""
        ...

    def apply(self, graph: OnnxGraph, x: Product, model: Qwen3, name: str) -> Product:
        """x @ weight.T with the checkpoint's weight `name`, (out, in), for a prepared x; rows may need scaling."""
        ...

    def project(self, graph: OnnxGraph, x: Product, model: Qwen3, name: str) -> str:
        """Prepare x, apply a weight, and scale: for a weight that shares its input with no other."""
        ...


@dataclass(frozen=True)
class FloatLinear:
    """Floating-point weights, multiplied in float32.

    stored: the weights' type on disk.
    """

    stored: type[np.floating] = np.float32
    rounds_activations = False

    def prepare(self, graph: OnnxGraph, x: str) -> Product:
        """As it is."""
        return Product(x)

    def apply(self, graph: OnnxGraph, x: Product, model: Qwen3, name: str) -> Product:
        """A plain MatMul."""
        outputs, inputs = model.tensors[name].shape
        transposed = (weight.T for weight in model.slabs(name, outputs))
        weight = graph.streamed_weight(name, self.stored, (inputs, outputs), transposed)
        if self.stored != np.float32:  # ONNX Runtime does this cast once, while loading
            weight = graph.node("Cast", weight, to=graph.onnx_type(np.float32))
        return Product(graph.node("MatMul", x.values, weight))

    def project(self, graph: OnnxGraph, x: Product, model: Qwen3, name: str) -> str:
        """A plain MatMul of float32 activations."""
        return self.apply(graph, self.prepare(graph, x.scaled(graph)), model, name).values
