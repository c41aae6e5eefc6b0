"""The kinds of graph that an export can write, and for each of its precisions the strategy that proves it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aatm_onnx.errors import ExportError

from .checkpoint import Checkpoint
from .graph import cuda, fused, standard
from .graph.fused import Storage
from .proof import numpy_reference, torch_reference
from .proof.float_strategy import FloatStrategy
from .proof.quantized_strategy import QuantizedStrategy

Strategy = FloatStrategy | QuantizedStrategy


@dataclass(frozen=True)
class GraphKind:
    """One way to write a checkpoint as an ONNX graph.

    Attributes:
        strategies: how each precision is written and proved.
        requires: modules that must be importable.
        tools: distributions whose versions the manifest records.
        disk_bytes: the most disk space that writing takes, for a checkpoint at a precision.
    """

    strategies: Mapping[str, Strategy]
    requires: tuple[str, ...]
    tools: tuple[str, ...]
    disk_bytes: Callable[[Checkpoint, str], int]


def _write_fused(checkpoint: Checkpoint, folder: Path, precision: str, built: Callable[[float], object]) -> None:
    fused.write_graph(checkpoint, folder, Storage(precision), built=built)


# Where a graph computes in float32, other machines' scores differ by what sums in another order do.
_FLOAT32_SUMS = 1e-5
_FUSED_FLOAT = FloatStrategy(numpy_reference.float32_logits, _write_fused, _FLOAT32_SUMS, limit=_FLOAT32_SUMS)
_STANDARD = FloatStrategy(torch_reference.float32_logits, standard.write_graph, _FLOAT32_SUMS, limit=_FLOAT32_SUMS)
# A GPU computes the graph for CUDA in float16, which the export, on the CPU, does not measure.
_CUDA = FloatStrategy(numpy_reference.float32_logits, cuda.write_graph, floor=5e-3, limit=5e-3)

KINDS = {
    "fused": GraphKind(
        strategies={
            "fp32": _FUSED_FLOAT,
            "fp16": replace(_FUSED_FLOAT, floor=2 * _FLOAT32_SUMS, limit=5e-3),
            "int8": QuantizedStrategy(min_tau=0.98),
            "int4": QuantizedStrategy(min_tau=0.95),
        },
        requires=("onnx", "onnxruntime"),
        tools=("onnx",),
        disk_bytes=fused.disk_bytes,
    ),
    "cuda": GraphKind(
        strategies={"fp16": _CUDA},
        requires=("onnx", "onnxruntime"),
        tools=("onnx",),
        disk_bytes=fused.disk_bytes,
    ),
    "standard": GraphKind(
        strategies={"fp32": _STANDARD, "fp16": replace(_STANDARD, floor=2 * _FLOAT32_SUMS, limit=5e-3)},
        requires=("torch", "transformers", "optimum.exporters.onnx", "onnx", "onnxruntime", "huggingface_hub"),
        tools=("torch", "transformers", "optimum", "optimum-onnx", "onnx"),
        disk_bytes=standard.disk_bytes,
    ),
}


def graph_kind(name: str) -> GraphKind:
    """The kind of graph called `name`.

    Raises:
        ExportError: there is none; the message lists those that there are.
    """
    if name not in KINDS:
        raise ExportError(f"There is no graph called {name!r}; choose from {', '.join(KINDS)}.")
    return KINDS[name]


def strategy_of(kind: str, precision: str, min_tau: float | None = None) -> Strategy:
    """The strategy of a kind of graph at a precision.

    Args:
        kind: the kind's name.
        precision: one of its precisions.
        min_tau: for int8 and int4, what is good enough, where their own is not wanted.

    Raises:
        ExportError: there is no such graph or precision, or the precision has no use for `min_tau`.
    """
    strategies = graph_kind(kind).strategies
    if precision not in strategies:
        raise ExportError(f"The {kind} graph has no precision {precision!r}; choose from {', '.join(strategies)}.")
    strategy = strategies[precision]
    if min_tau is None:
        return strategy
    if isinstance(strategy, FloatStrategy):
        raise ExportError(f"{precision} does not change the order of candidates: leave out --min-tau.")
    return replace(strategy, min_tau=min_tau)
