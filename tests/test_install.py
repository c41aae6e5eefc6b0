"""What a user's machine needs: the wheel, in clean environments made by pip."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
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


def test_the_wheel_carries_what_its_model_owes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if ".dist-info/licenses/" in name]
        texts = {name.split("/licenses/")[1]: archive.read(name).decode("utf-8") for name in licences}
    assert set(texts) == {"LICENSE", "NOTICE", "models/README.md"}
    for source in ("Human Phenotype Ontology", "Mondo Disease Ontology", "Gene Ontology", "Medical Subject Headings"):
        assert source in texts["NOTICE"] and source in texts["models/README.md"]
    assert texts["NOTICE"].count("https://creativecommons.org/licenses/by/4.0/") == 2
    assert "Courtesy of the U.S. National Library of Medicine" in texts["NOTICE"]


def test_the_types_of_both_packages_are_for_users_too(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert {"aatm_onnx/py.typed", "aatm_onnx_export/py.typed"} <= set(archive.namelist())


_IGNORED = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "node_modules")


def test_the_source_distribution_can_run_its_tests(tmp_path: Path) -> None:
    """Built of a copy, because a build leaves traces in its folder."""
    copy, tools, unpacked = tmp_path / "copy", tmp_path / "tools", tmp_path / "unpacked"
    shutil.copytree(ROOT, copy, ignore=_IGNORED)
    others = ("deploy/keys", "deploy/prometheus/key", "models/exported/model.onnx", "js/dist/index.js")
    for name in others:  # made by whoever deploys, exports or builds there
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).touch()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tools, "setuptools>=77"]
    subprocess.run(install, check=True, timeout=120)
    build = "from setuptools import build_meta; import sys; build_meta.build_sdist(sys.argv[1])"
    with_tools = {**os.environ, "PYTHONPATH": str(tools)}
    command = [sys.executable, "-c", build, str(tmp_path)]
    subprocess.run(command, cwd=copy, env=with_tools, check=True, timeout=120, stdout=subprocess.DEVNULL)
    (archive,) = tmp_path.glob("aatm_onnx-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(unpacked, filter="data")
    (folder,) = unpacked.iterdir()
    assert not [name for name in others if (folder / name).exists()]
    for tests in ("tests", "docs", "benchmarks", "models/recipe", "export"):
        wanted = {file.relative_to(copy) for file in (copy / tests).rglob("*") if file.is_file()}
        packed_files = {file.relative_to(folder) for file in (folder / tests).rglob("*")}
        assert {name for name in wanted if "__pycache__" not in name.parts} <= packed_files
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, folder / "export")))}
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    subprocess.run(
        [*pytest_command, "tests/test_arguments.py", "tests/test_bm25.py"],
        cwd=folder,
        env=environment,
        check=True,
        timeout=240,
        stdout=subprocess.DEVNULL,
    )
