"""Linear layers of the fused graphs: how weights are stored, and what multiplies with them.

An activation is prepared once and then meets every weight that needs it (q, k and v; gate and up). A product may come
out with each row divided by a factor, because what follows may not need that factor: see `Activation`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..checkpoint import CheckpointWeights, FloatArray
from .builder import OnnxGraph, Value
from .picks import pick, picks
from .zeros import Box, box, cut_columns, pad


@dataclass(frozen=True)
class Activation:
    """Activations (tokens, features).

    Attributes:
        values: in the form in which they are multiplied.
        row_scale: what each row is still to be multiplied by, (tokens, 1), if anything.
    """

    values: Value
    row_scale: Value | None = None

    def scaled(self) -> Value:
        """The true activations."""
        return self.values if self.row_scale is None else self.values * self.row_scale


class Linear(Protocol):
    """One way to store and apply linear layers' weights, bound to the graph that is built and the weights in it."""

    @property
    def quantizes_activations(self) -> bool:
        """Whether activations are rounded to few steps, so that a difference in a float's last bit can grow."""
        ...

    def prepare(self, x: Value) -> Activation:
        """Bring activations (tokens, in) into the form that `apply` takes."""
        ...

    def apply(self, x: Activation, name: str) -> Activation:
        """x @ weight.T with the checkpoint's weight `name`, (out, in), for a prepared x; rows may need scaling."""
        ...

    def project(self, x: Activation, name: str) -> Value:
        """Prepare x, apply a weight, and scale: for a weight that shares its input with no other."""
        ...


@dataclass(frozen=True)
class FloatLinear:
    """Floating-point weights, multiplied in float32.

    Attributes:
        graph: the graph that is built.
        weights: the checkpoint's.
        stored: the weights' type on disk.
    """

    graph: OnnxGraph
    weights: CheckpointWeights
    stored: type[np.floating] = np.float32
    quantizes_activations = False

    def prepare(self, x: Value) -> Activation:
        """As it is."""
        return Activation(x)

    def apply(self, x: Activation, name: str) -> Activation:
        """A MatMul, of what is not zero where that is little; a Gather where outputs take one or two inputs."""
        outputs, inputs = self.weights.shape(name)
        block = box(self.weights, name)
        picked = picks(self.weights, name, block)
        if picked is None and block == Box.whole((outputs, inputs)):
            transposed = (weight.T for weight in self.weights.row_blocks(name, outputs))
            return Activation(x.values @ self._weight(name, (inputs, outputs), transposed))
        columns = cut_columns(x.values, block.inputs, inputs)
        if picked is None:
            part = np.ascontiguousarray(block.of(self.weights.whole(name)).T)
            product = columns @ self._weight(name, part.shape, [part])
        else:
            factors = [
                self._weight(f"{name}.{number}", (len(column), 1), [column[:, None]])
                for number, column in enumerate(picked.factors)
            ]
            product = pick(columns, picked.inputs, factors)
        return Activation(pad(product, block.outputs, outputs, axis=1))

    def _weight(self, name: str, shape: tuple[int, ...], row_blocks: Iterable[FloatArray]) -> Value:
        weight = self.graph.streamed_weight(name, self.stored, shape, row_blocks)
        return weight if self.stored == np.float32 else weight.cast(np.float32)  # cast once, while the graph is loaded

    def project(self, x: Activation, name: str) -> Value:
        """A plain MatMul of float32 activations."""
        return self.apply(self.prepare(x.scaled()), name).values


@dataclass(frozen=True)
class HalfLinear:
    """float16 weights, multiplied in float16, as GPUs do fast; what is projected comes back in float32."""

    graph: OnnxGraph
    weights: CheckpointWeights
    quantizes_activations = False

    def prepare(self, x: Value) -> Activation:
        """In float16."""
        return Activation(x.cast(np.float16))

    def apply(self, x: Activation, name: str) -> Activation:
        """A MatMul of float16 values."""
        outputs, inputs = self.weights.shape(name)
        transposed = (weight.T for weight in self.weights.row_blocks(name, outputs))
        return Activation(x.values @ self.graph.streamed_weight(name, np.float16, (inputs, outputs), transposed))

    def project(self, x: Activation, name: str) -> Value:
        """A MatMul of what is in float16 already."""
        return self.apply(x, name).values.cast(np.float32)
