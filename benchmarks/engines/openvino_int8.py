"""OpenVINO with everything in int8: scales are found once, on rows of T's length (nncf.quantize)."""

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from . import openvino_int8_weights

TITLE = f"OpenVINO {openvino.__version__.partition('-')[0]}, int8, static scales"
_ROWS, _OWN, _SAMPLES = 8, 20, 32


class Engine(openvino_int8_weights.Engine):
    """The checkpoint, converted and quantized."""

    name = "int8"

    def quantized(self, graph: openvino.Model, past: NDArray[np.float32], vocabulary: int) -> openvino.Model:
        """Calibrated after the prefix's own keys and values; the graph that makes these keeps float activations."""
        if len(graph.output(0).get_partial_shape()) != 2:
            return super().quantized(graph, past, vocabulary)
        rng = np.random.default_rng(1)
        samples = [(rng.integers(0, vocabulary, (_ROWS, _OWN)), past) for _ in range(_SAMPLES)]
        return nncf.quantize(graph, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER, subset_size=_SAMPLES)
