"""OpenVINO with everything in int8: scales are found once, on rows of T's length (nncf.quantize)."""

from collections.abc import Sequence
from pathlib import Path

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from .openvino_graph import OpenVINO

TITLE = f"OpenVINO {openvino.__version__.partition('-')[0]}, int8, static scales"
_ROWS, _OWN, _SAMPLES = 8, 20, 32


class Engine(OpenVINO):
    """The checkpoint, converted and quantized."""

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Convert it once and load it."""
        super().__init__(folder, "int8", _quantized, threads, prefix)


def _quantized(graph: openvino.Model, past: NDArray[np.float32], vocabulary: int) -> openvino.Model:
    """Calibrated after the prefix's own keys and values; the graph that makes these keeps float activations."""
    if len(graph.output(0).get_partial_shape()) != 2:
        return nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_SYM)
    rng = np.random.default_rng(1)
    samples = [(rng.integers(0, vocabulary, (_ROWS, _OWN)), past) for _ in range(_SAMPLES)]
    return nncf.quantize(graph, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER, subset_size=_SAMPLES)
