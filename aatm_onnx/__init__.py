"""Rerank with Qwen3 rerankers on ONNX Runtime, without PyTorch.

>>> from aatm_onnx import Qwen3Reranker
>>> Qwen3Reranker().rank("high blood pressure", ["Hypotension", "Hypertension"])[0].document
'Hypertension'
"""

from importlib.metadata import PackageNotFoundError, version

from .errors import BundleError, ExportError, InputTypeError, ProviderError, ScoreError, TooLongError
from .load import load_reranker
from .models import Qwen3RerankerModels
from .pipeline import BaseReranker, PipelineBaseClass, RetrievedExpressionMetadata, RetrieverResults
from .ranking import PairScore, RankedDocument
from .reranker import Reranker
from .rerankers import BM25Reranker, Qwen3Reranker

try:
    __version__ = version("aatm-onnx")  # pyproject.toml says it
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

__all__ = [
    "BM25Reranker",
    "BaseReranker",
    "BundleError",
    "ExportError",
    "InputTypeError",
    "PairScore",
    "PipelineBaseClass",
    "ProviderError",
    "Qwen3Reranker",
    "Qwen3RerankerModels",
    "RankedDocument",
    "Reranker",
    "RetrievedExpressionMetadata",
    "RetrieverResults",
    "ScoreError",
    "TooLongError",
    "load_reranker",
]
