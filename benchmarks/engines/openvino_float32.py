"""OpenVINO in float32."""

import openvino

from .openvino_graph import OpenVINO

TITLE = f"OpenVINO {openvino.__version__.partition('-')[0]} float32"


class Engine(OpenVINO):
    """The checkpoint, converted."""
