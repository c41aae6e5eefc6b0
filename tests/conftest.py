"""Small real bundles that tests share, each exported once; and which tests are slow."""

import importlib.util
import re
import signal
from pathlib import Path

import pytest

from aatm_onnx import Qwen3Reranker

# Started in a shell's background, pytest ignores Ctrl-C, and so would every program that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests that export, or build environments and sites. Without PyTorch they can't even be imported.
_EXPORTS = re.compile(r"^(?:from|import) (?:torch|transformers|onnx|aatm_onnx_export|\.checkpoints|recipe)\b", re.M)
_SLOW_FIXTURES = {"checkpoint", "bundle", "fused_bundle", "reranker", "other_checkpoint"}
_SLOW_FILES = {"test_docs.py", "test_install.py", "test_readme.py", "test_telemetry.py"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what exports, where that is not wanted or can't be."""
    if collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    unwanted = config.option.markexpr == "not slow" or importlib.util.find_spec("torch") is None
    return True if unwanted and _EXPORTS.search(collection_path.read_text("utf-8")) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make fast` leaves out."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.path.name in _SLOW_FILES or fixtures & _SLOW_FIXTURES or _EXPORTS.search(item.path.read_text("utf-8")):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Qwen3 with the real tokenizer."""
    from .checkpoints import make_checkpoint

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
    from .checkpoints import make_checkpoint

    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "other", seed=1)
