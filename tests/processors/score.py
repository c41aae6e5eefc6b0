"""What one processor gives, as JSON: `python score.py BUNDLE ...`, run here and under emulation.

Of every bundle: how far it is from its conformance vectors, and the scores of some queries. Of int8 on x86 and of int4
on ARM64 the same once more without what aatm-onnx tells ONNX Runtime there for the sake of exact products.
"""

import contextlib
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from aatm_onnx import Qwen3Reranker
from aatm_onnx.bundle import Bundle, open_bundle
from aatm_onnx.runtime.providers import import_onnxruntime
from aatm_onnx.runtime.saturation import _PRODUCT, products_saturate
from aatm_onnx.runtime.session import open_session
from aatm_onnx.runtime.verify import check_conformance

_TERMS = Path(__file__).resolve().parents[2] / "examples" / "terms.jsonl"
_QUERIES, _CANDIDATES = 2, 10  # emulation is slow


def measure(bundle: Bundle) -> dict[str, Any]:
    """How far the bundle is from its vectors, and scores."""
    conformance = check_conformance(bundle, open_session(bundle, "cpu"))
    reranker = Qwen3Reranker(bundle.path, provider="cpu")
    terms = [json.loads(line) for line in _TERMS.read_text(encoding="utf-8").splitlines()[:_QUERIES]]
    candidates = [term["candidates"][:_CANDIDATES] for term in terms]
    scored = reranker.score_pairs([term["query"] for term in terms], candidates)
    return {**asdict(conformance), "scores": [pair.score for pairs in scored for pair in pairs]}


def wrong_products() -> bool:
    """Whether products of uint8 and int8 matrices of several shapes differ from numpy's."""
    draw = np.random.default_rng(0)
    session = import_onnxruntime().InferenceSession(_PRODUCT, providers=["CPUExecutionProvider"])
    for rows, inner, columns in ((1, 64, 32), (3, 256, 768), (17, 100, 33), (64, 768, 256)):
        a = draw.integers(128, 256, (rows, inner), dtype=np.uint8)
        b = draw.integers(64, 128, (inner, columns), dtype=np.int8)
        if (session.run(["y"], {"a": a, "b": b})[0] != a.astype(np.int64) @ b.astype(np.int64)).any():
            return True
    return False


@contextlib.contextmanager
def plain_options() -> Iterator[None]:
    """ONNX Runtime as it is by itself: told nothing about products and kernels."""
    with patch.object(import_onnxruntime().SessionOptions, "add_session_config_entry", lambda *_: None):
        yield


def main() -> None:
    """The command line."""
    answer: dict[str, Any] = {"saturate": products_saturate(), "wrong": wrong_products(), "bundles": {}}
    for path in sys.argv[1:]:
        bundle = open_bundle(path)
        measured = {"own": measure(bundle)}
        if bundle.precision == ("int4" if platform.machine() == "aarch64" else "int8"):
            with plain_options():
                measured["plain"] = measure(bundle)
        answer["bundles"][Path(path).name] = measured
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
