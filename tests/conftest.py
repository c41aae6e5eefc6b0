"""Small real bundles that tests share, each exported once."""

from pathlib import Path

import pytest

from aatm_onnx import Qwen3Reranker

from .checkpoints import make_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Qwen3 with the real tokenizer."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture(scope="session")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle, standard graph, float32."""
    from aatm_onnx_export.export import export_checkpoint

    return export_checkpoint(str(checkpoint), tmp_path_factory.mktemp("bundle") / "small", graph="standard").path


@pytest.fixture(scope="session")
def fused_bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle, fused graph, float32: what an export writes unless told otherwise."""
    from aatm_onnx_export.export import export_checkpoint

    return export_checkpoint(str(checkpoint), tmp_path_factory.mktemp("bundle") / "fused").path


@pytest.fixture(scope="session")
def reranker(bundle: Path) -> Qwen3Reranker:
    """A reranker over that bundle, on the CPU."""
    return Qwen3Reranker(bundle, provider="cpu")


@pytest.fixture(scope="session")
def other_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sizes, other weights."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "other", seed=1)
