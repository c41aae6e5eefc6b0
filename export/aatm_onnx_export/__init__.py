"""Export: a Qwen3 reranker checkpoint becomes a bundle (aatm_onnx.bundle) that needs no PyTorch."""

from .compare import compare_with_checkpoint
from .export import export_checkpoint
from .progress import Progress

__all__ = ["Progress", "compare_with_checkpoint", "export_checkpoint"]
