"""Export: a Qwen3 reranker checkpoint becomes a bundle (aatm_onnx.bundle) that needs no PyTorch."""

try:
    from .compare import compare_with_checkpoint
    from .export import export_checkpoint
    from .progress import Progress
except ImportError as error:
    raise ImportError(f"Export needs more packages ({error}): pip install 'aatm-onnx[export]'.") from error

__all__ = ["Progress", "compare_with_checkpoint", "export_checkpoint"]
