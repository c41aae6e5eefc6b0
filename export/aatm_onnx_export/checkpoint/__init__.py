"""A checkpoint as it lies on disk or on the hub: what it is, and its weights a few rows at a time."""

from .checkpoint import Checkpoint, open_checkpoint, parameter_count
from .weights import CheckpointWeights, FloatArray, read_weights

__all__ = ["Checkpoint", "CheckpointWeights", "FloatArray", "open_checkpoint", "parameter_count", "read_weights"]
