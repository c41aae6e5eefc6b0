"""OpenVINO with weights in int8; activations are quantized as they come, where its products can."""

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from .openvino_graph import OpenVINO

TITLE = f"OpenVINO {openvino.__version__.partition('-')[0]}, int8 weights"


class Engine(OpenVINO):
    """The checkpoint, converted, its weights compressed."""

    name = "int8-weights"

    def quantized(self, graph: openvino.Model, past: NDArray[np.float32], vocabulary: int) -> openvino.Model:
        """One scale for each of a weight's outputs."""
        return nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_SYM)
