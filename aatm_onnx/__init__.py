"""Rerank with Qwen3 rerankers on ONNX Runtime, without PyTorch.

>>> from aatm_onnx import Qwen3Reranker
>>> Qwen3Reranker().rank("high blood pressure", ["Hypotension", "Hypertension"])[0].document
'Hypertension'
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bm25 import BM25Reranker
    from .errors import BundleError, ExportError, InputTypeError, ProviderError, ScoreError, TooLongError
    from .load import load_reranker
    from .models import Qwen3RerankerModels
    from .pipeline import BaseReranker, PipelineBaseClass, RetrievedExpressionMetadata, RetrieverResults
    from .ranking import PairScore, RankedDocument
    from .reranker import Reranker
    from .rerankers import Qwen3Reranker

    __version__: str

# From 1.29 on, ONNX Runtime reports run counts, durations, model names and error messages to its maker, unless this
# variable says otherwise before it is imported. Set it to 0 to allow that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

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

# Where each name is defined. A name's module is imported when the name is first asked for: the command line can say
# its help, and be interrupted, before numpy is there.
_HOMES = {
    "bm25": ("BM25Reranker",),
    "errors": ("BundleError", "ExportError", "InputTypeError", "ProviderError", "ScoreError", "TooLongError"),
    "load": ("load_reranker",),
    "models": ("Qwen3RerankerModels",),
    "pipeline": ("BaseReranker", "PipelineBaseClass", "RetrievedExpressionMetadata", "RetrieverResults"),
    "ranking": ("PairScore", "RankedDocument"),
    "reranker": ("Reranker",),
    "rerankers": ("Qwen3Reranker",),
    "version": ("__version__",),
}


if not TYPE_CHECKING:  # or every other name would be right to a type checker too

    def __getattr__(name: str) -> Any:
        for home, names in _HOMES.items():
            if name in names:
                value = getattr(importlib.import_module(f".{home}", __name__), name)
                globals()[name] = value  # so that this is not called for it again
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
