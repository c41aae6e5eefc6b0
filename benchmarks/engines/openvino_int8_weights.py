"""OpenVINO with weights in int8; activations are quantized as they come, where its products can."""

from collections.abc import Sequence
from pathlib import Path

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from .openvino_graph import OpenVINO

TITLE = f"OpenVINO {openvino.__version__.partition('-')[0]}, int8 weights"


class Engine(OpenVINO):
    """The checkpoint, converted, its weights compressed."""

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Convert it once and load it."""
        super().__init__(folder, "int8-weights", _compressed, threads, prefix)


def _compressed(graph: openvino.Model, past: NDArray[np.float32], vocabulary: int) -> openvino.Model:
    return nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_SYM)
