"""OpenVINO in float32."""

from collections.abc import Sequence
from pathlib import Path

import openvino

from .openvino_graph import OpenVINO

TITLE = f"OpenVINO {openvino.__version__.partition('-')[0]} float32"


class Engine(OpenVINO):
    """The checkpoint, converted."""

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Convert it once and load it."""
        super().__init__(folder, "float32", None, threads, prefix)
