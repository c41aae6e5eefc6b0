"""Rerank with Qwen3 rerankers on ONNX Runtime, without PyTorch.

>>> from aatm_onnx import Qwen3Reranker
>>> Qwen3Reranker().rank("high blood pressure", ["Hypotension", "Hypertension"])[0].document
'Hypertension'
"""

from .data_models import RetrievedExpressionMetadata, RetrieverResults
from .errors import BundleError, ExportError, InputTypeError, ProviderError
from .locate import Qwen3RerankerModels
from .pipeline import PipelineBaseClass
from .registry import load_reranker
from .rerankers import BaseReranker, BM25Reranker, Qwen3Reranker
from .results import RankedDocument

__version__ = "0.1.0"

__all__ = [
    "BM25Reranker",
    "BaseReranker",
    "BundleError",
    "ExportError",
    "InputTypeError",
    "PipelineBaseClass",
    "ProviderError",
    "Qwen3Reranker",
    "Qwen3RerankerModels",
    "RankedDocument",
    "RetrievedExpressionMetadata",
    "RetrieverResults",
    "load_reranker",
]
