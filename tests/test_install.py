"""What a user's machine needs: the wheel, in clean environments made by pip."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

WITHOUT_RUNTIME = """
import sys, warnings
from aatm_onnx import BM25Reranker, Qwen3Reranker, load_reranker
assert BM25Reranker().rank("left knee", ["right knee", "left knee", "hip"])[0].index == 1
for wanted in ("onnxruntime", "tokenizers", "torch", "transformers"):
    assert wanted not in sys.modules, wanted
try:
    Qwen3Reranker()
except ImportError as error:
    assert "pip install 'aatm-onnx[cpu]'" in str(error), error
else:
    raise AssertionError("a neural reranker without a runtime")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert isinstance(load_reranker("default", fallback="bm25"), BM25Reranker)
assert len(caught) == 1, caught
"""

WITH_RUNTIME = """
import importlib.util, sys
from aatm_onnx import Qwen3Reranker
for unwanted in ("torch", "transformers", "optimum", "onnx"):
    assert importlib.util.find_spec(unwanted) is None, unwanted
reranker = Qwen3Reranker()
best = reranker.rank("kidney stones", ["Gallstones", "Nephrolithiasis", "Kidney cyst"], top_k=2)
assert len(best) == 2 and 0 < best[1].score <= best[0].score < 1, best
print(reranker.provider, reranker.bundle.path)
"""

LOADS_NO_TORCH = """
import sys
from aatm_onnx import Qwen3Reranker, RetrievedExpressionMetadata, RetrieverResults
results = RetrieverResults(["pain"], [[RetrievedExpressionMetadata("Pain"), RetrievedExpressionMetadata("Knee")]])
results | Qwen3Reranker(provider="cpu")
assert results.results[0][0].rerank_score is not None
for unwanted in ("torch", "transformers", "optimum"):
    assert unwanted not in sys.modules, unwanted
"""


def python(executable: Path | str, code: str, cwd: Path) -> str:
    done = subprocess.run([executable, "-c", code], capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pip(environment: Path, *arguments: str) -> None:
    command = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--constraint", ROOT / "constraints.txt", *arguments], check=True, timeout=240)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True, timeout=240)
    (wheel,) = folder.glob("aatm_onnx-*.whl")
    return Path(wheel)


def test_reranking_loads_neither_torch_nor_transformers(tmp_path: Path) -> None:
    python(sys.executable, LOADS_NO_TORCH, tmp_path)


def test_the_wheel_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    pip(environment, str(wheel))
    python(environment / "bin" / "python", WITHOUT_RUNTIME, tmp_path)
    pip(environment, f"{wheel}[cpu]")
    printed = python(environment / "bin" / "python", WITH_RUNTIME, tmp_path)
    assert printed.startswith(f"cpu {environment}")  # the default model is the wheel's own
    command = [environment / "bin" / "aatm-onnx", "rerank", "renal calculus", "Gallstone", "Nephrolithiasis"]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
