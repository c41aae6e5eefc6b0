"""The kinds of graph that an export can write; everything else about an export is the same for all."""

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import TokenIds

from .architecture import tensor_shapes
from .checkpoint import Checkpoint

Progress = Callable[[str], None]  # called with a few words at every step


@dataclass(frozen=True)
class GraphKind:
    """One way to write a checkpoint as an ONNX graph.

    name: as the manifest and the command line call it.
    tolerances: the precisions that it writes, each with how far scores may be from the conformance vectors'.
    min_taus: the precisions that round activations, whose bundles must keep the order of candidates to this
        Kendall's tau within a query; the others must give the reference's scores, within the tolerance.
    requires: modules that must be importable.
    tools: distributions whose versions the manifest records.
    reference: computes the (no, yes) logits of whole prompts in float32, the truth for this kind.
    write: writes model.onnx (and model.onnx.data) into a folder, at a precision.
    disk_bytes: the most disk space that `write` takes, at a precision.
    """

    name: str
    tolerances: Mapping[str, float]
    min_taus: Mapping[str, float]
    requires: tuple[str, ...]
    tools: tuple[str, ...]
    reference: Callable[[Checkpoint, Sequence[TokenIds]], NDArray[np.float32]]
    write: Callable[[Checkpoint, Path, str], None]
    disk_bytes: Callable[[Checkpoint, str], int]


def check_installed(modules: tuple[str, ...]) -> None:
    """Look for modules without importing them, so that nothing heavy loads before all are known to be there.

    Raises:
        ExportError: one is missing; the message names it and the extra that brings it.
    """
    for module in modules:
        try:
            missing = importlib.util.find_spec(module) is None
        except ModuleNotFoundError:  # a parent package is missing
            missing = True
        if missing:
            raise ExportError(f"This needs {module.partition('.')[0]}: pip install 'aatm-onnx[export]'.")


def parameter_count(checkpoint: Checkpoint) -> int:
    """How many weights a checkpoint has."""
    return sum(math.prod(shape) for shape in tensor_shapes(checkpoint.architecture).values())


def graph_kind(name: str) -> GraphKind:
    """The kind of graph called `name`.

    Raises:
        ExportError: there is none; the message lists those that there are.
    """
    from .cuda import CUDA
    from .fused import FUSED
    from .standard import STANDARD

    kinds = {kind.name: kind for kind in (FUSED, CUDA, STANDARD)}
    if name not in kinds:
        raise ExportError(f"There is no graph called {name!r}; choose from {', '.join(kinds)}.")
    return kinds[name]
