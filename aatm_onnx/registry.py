"""Rerankers by name, with an optional fallback where the neural one can't run."""

import warnings
from pathlib import Path
from typing import Any

from .errors import BundleError, ProviderError
from .locate import Qwen3RerankerModels, find_bundle
from .rerankers import BM25Reranker, Qwen3Reranker, ScoringReranker

_BM25 = "bm25-reranker"
# aatm's names (aatm.registries.rerankers, 0.1.7), plus "default" for the model that this package carries.
_QWEN3: dict[str, Qwen3RerankerModels | None] = {
    "default": None,
    "qwen3-reranker-0.6b": Qwen3RerankerModels.QWEN3_06B,
    "qwen3-reranker-4b": Qwen3RerankerModels.QWEN3_4B,
    "qwen3-reranker-8b": Qwen3RerankerModels.QWEN3_8B,
}
RERANKER_NAMES = (_BM25, *_QWEN3)


def find_named_bundle(name: str | None) -> Path:
    """The folder of a bundle by a reranker's name, as `find_bundle` by anything else.

    Raises:
        BundleError: there is none.
    """
    return find_bundle(_QWEN3.get(name, name) if name else None)


def load_reranker(name: str = "default", fallback: str | None = None, **kwargs: Any) -> ScoringReranker:
    """Make a reranker by its name.

    Args:
        name: "bm25-reranker", "default" (the model that this package carries), "qwen3-reranker-0.6b", "-4b" or "-8b".
        fallback: "bm25" returns a BM25Reranker, with a warning, where the neural one can't run here: no ONNX Runtime,
            no bundle, no CUDA where CUDA was asked for. None raises instead.
        **kwargs: further arguments of Qwen3Reranker.

    Raises:
        ValueError: the name or the fallback is unknown.
        BundleError, ImportError, ProviderError: as Qwen3Reranker, without a fallback.
    """
    if name not in RERANKER_NAMES:
        raise ValueError(f"Reranker {name!r} not found. Available rerankers: {', '.join(RERANKER_NAMES)}.")
    if fallback not in (None, "bm25", _BM25):
        raise ValueError(f"fallback must be 'bm25' or None, not {fallback!r}.")
    if name == _BM25:
        return BM25Reranker(**kwargs)
    try:
        return Qwen3Reranker(**{"model_id": _QWEN3[name], **kwargs})
    except (BundleError, ImportError, ProviderError) as error:
        if fallback is None:
            raise
        wanted = kwargs.get("model_id") or name
        warnings.warn(f"{wanted} can't run here, so BM25 takes its place: {error}", RuntimeWarning, stacklevel=2)
        return BM25Reranker()
