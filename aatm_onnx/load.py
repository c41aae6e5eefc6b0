"""Any reranker by any of its names, with an optional fallback where the neural one can't run."""

import os
import threading
import warnings
from inspect import signature
from typing import Any

from .bm25 import BM25Reranker
from .errors import BundleError, ProviderError
from .models import DEFAULT_MODEL, SHORT_NAMES, ModelName, plain_name
from .reranker import Reranker
from .rerankers import Qwen3Reranker
from .runtime.providers import check_provider

BM25_NAMES = ("bm25-reranker", "bm25")  # aatm's name and the short one
RERANKER_NAMES = (*BM25_NAMES, DEFAULT_MODEL, *SHORT_NAMES)
_locks: dict[int, threading.Lock] = {}  # of each process


def load_reranker(name: ModelName = DEFAULT_MODEL, fallback: str | None = None, **kwargs: Any) -> Reranker:
    """Make a reranker by its name.

    Args:
        name: "bm25-reranker" (or "bm25"), or a model: None or "default" (the model that this package carries), a short
            name ("qwen3-reranker-0.6b"), a hub id ("Qwen/Qwen3-Reranker-0.6B"), or the path of a bundle.
        fallback: "bm25" returns a BM25Reranker, with a warning, where the neural one can't run here: no ONNX Runtime,
            no bundle, no CUDA where CUDA was asked for. None raises instead.
        **kwargs: further arguments of Qwen3Reranker.

    Raises:
        TypeError: there is no such argument.
        ValueError: the fallback is unknown, the name is not one, or an argument has a wrong value.
        BundleError, ImportError, ProviderError: as Qwen3Reranker, without a fallback.

    Example:
        >>> load_reranker("bm25").rank("heart attack", ["stroke", "heart failure"])[0].document
        'heart failure'
    """
    if fallback not in (None, *BM25_NAMES):
        raise ValueError(f"fallback must be 'bm25' or None, not {fallback!r}.")
    check_provider(kwargs.get("provider", "auto"))
    name = plain_name(name)
    if name in BM25_NAMES:
        signature(Qwen3Reranker).bind_partial(**kwargs)  # what one takes is accepted by both, and nothing else
        return BM25Reranker()
    try:
        return Qwen3Reranker(**{"model_id": name, **kwargs})
    except (BundleError, ImportError, ProviderError) as error:
        if fallback is None:
            raise
        named = DEFAULT_MODEL if name is None else os.fspath(name)
        warnings.warn(f"{named} can't run here, so BM25 takes its place: {error}", RuntimeWarning, stacklevel=2)
        return BM25Reranker()


def opening() -> threading.Lock:
    """The lock to hold while opening what threads share, or each that comes first would open one of its own.

    A forked child has its own lock: nobody in it would release one that a thread of its parent held.
    """
    return _locks.setdefault(os.getpid(), threading.Lock())
