"""Execution providers, and graphs that are no rerankers."""

import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import onnx
import onnxruntime
import pytest
from aatm_onnx_export import export_checkpoint
from onnx import TensorProto, helper

from aatm_onnx import BundleError, ProviderError, Qwen3Reranker
from aatm_onnx.bundle import MANIFEST_FILE, describe_files
from aatm_onnx.bundle.manifest import seal_of
from aatm_onnx.runtime import providers
from aatm_onnx.runtime.cuda import why_no_cuda

no_cuda = why_no_cuda(onnxruntime)
built_for_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.skipif(no_cuda is None, reason="CUDA works here")
def test_cuda_where_there_is_none_is_an_error_that_names_the_extra(bundle: Path) -> None:
    with pytest.raises(ProviderError, match=r"aatm-onnx\[gpu\]") as error:
        Qwen3Reranker(bundle, provider="cuda")
    assert str(no_cuda) in str(error.value)


@pytest.mark.skipif(no_cuda is None, reason="CUDA works here")
def test_auto_falls_back_to_the_cpu_with_one_warning_that_says_why(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    providers._warn_once.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [Qwen3Reranker(bundle).provider for _ in range(2)] == ["cpu", "cpu"]
    ours = [warning for warning in caught if "CUDA can't be used" in str(warning.message)]
    assert len(ours) == (1 if built_for_cuda else 0)
    assert capfd.readouterr() == ("", "")  # ONNX Runtime prints to both when it fails to load CUDA


@pytest.mark.gpu
@pytest.mark.skipif(no_cuda is not None, reason=f"no CUDA: {no_cuda}")
@pytest.mark.parametrize(("graph", "precision"), [("standard", "fp32"), ("fused", "fp32"), ("cuda", "fp16")])
def test_cuda_scores_are_the_cpus(bundle: Path, checkpoint: Path, tmp_path: Path, graph: str, precision: str) -> None:
    for_cuda = export_checkpoint(str(checkpoint), tmp_path / graph, graph=graph, precision=precision).path
    documents = ["Hypertension", "Hypotension " * 30, ""]
    on_gpu, on_cpu = Qwen3Reranker(for_cuda, provider="cuda"), Qwen3Reranker(bundle, provider="cpu")
    assert (on_gpu.provider, on_cpu.provider) == ("cuda", "cpu")
    assert on_gpu.score("high blood pressure", documents) == pytest.approx(
        on_cpu.score("high blood pressure", documents), abs=1e-3
    )


def test_unknown_provider_and_threads_are_refused(bundle: Path) -> None:
    with pytest.raises(ValueError, match="'auto', 'cpu' or 'cuda'"):
        Qwen3Reranker(bundle, provider="tpu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threads"):
        Qwen3Reranker(bundle, threads=0)


@pytest.mark.parametrize(("quota", "cpus"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 4), ("", 4)])
def test_a_containers_quota_limits_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cpus: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(providers, "_CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(4))
    assert providers.usable_cpus() == cpus


def test_scores_do_not_depend_on_threads_and_memory(bundle: Path) -> None:
    documents = ["Hypertension", "Hypotension " * 30, "", *(f"Disease of type {number}" for number in range(40))]
    one, several = Qwen3Reranker(bundle, threads=1, keep_memory=False), Qwen3Reranker(bundle, threads=3)
    assert one.score("high blood pressure", documents) == pytest.approx(
        several.score("high blood pressure", documents), abs=1e-6
    )


@pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 26), reason="an older ONNX Runtime has no such option"
)
def test_after_a_call_the_processor_rests(bundle: Path) -> None:
    reranker = Qwen3Reranker(bundle, threads=2)
    spent = []
    for _ in range(5):
        reranker.score("high blood pressure", ["Hypertension", "Hypotension"])
        begun = time.process_time()
        time.sleep(0.2)
        spent.append(time.process_time() - begun)
    assert min(spent) < 0.01  # ONNX Runtime's threads would look for work for some 0.04 seconds


_MEGABYTES_AFTER_LARGE_BATCHES = """
import sys
from pathlib import Path
from aatm_onnx import Qwen3Reranker
reranker = Qwen3Reranker(provider="cpu", token_budget=40_000, keep_memory=sys.argv[1] == "True")
reranker.score("pain", [f"ache {number} " * 150 for number in range(100)])
resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
print(int(resident.split()[1]) / 1000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from Linux's /proc")
def test_memory_is_kept_or_given_back(tmp_path: Path) -> None:
    kept, given_back = (
        float(subprocess.check_output([sys.executable, "-c", _MEGABYTES_AFTER_LARGE_BATCHES, str(keep)], cwd=tmp_path))
        for keep in (True, False)
    )
    assert given_back < kept / 2


_MEGABYTES_KEPT_AFTER_A_LONG_DOCUMENT = """
from pathlib import Path
from aatm_onnx import Qwen3Reranker

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

reranker = Qwen3Reranker(provider="cpu", max_length=4096)
reranker.score("pain", ["ache " * 30] * 40)
before = megabytes()
(pair,) = reranker.score_pairs(["pain"], [["ache " * 200_000]])[0]
assert pair.tokens == 4096
print(megabytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from Linux's /proc")
def test_one_long_document_takes_no_memory_for_good(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MEGABYTES_KEPT_AFTER_A_LONG_DOCUMENT]
    assert float(subprocess.check_output(command, cwd=tmp_path)) < 100


def with_graph(bundle: Path, target: Path, model: bytes) -> Path:
    """A copy of a bundle around another graph, its manifest telling the truth about the file."""
    shutil.copytree(bundle, target)
    (target / "model.onnx").write_bytes(model)
    manifest = json.loads((target / MANIFEST_FILE).read_text("utf-8"))
    manifest["files"] = {name: vars(entry) for name, entry in describe_files(target).items()}
    (target / MANIFEST_FILE).write_text(json.dumps({**manifest, "seal": seal_of(manifest)}), "utf-8")
    return target


def test_a_graph_with_other_inputs_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    ids = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "seq"])
    out = helper.make_tensor_value_info("logits", TensorProto.INT64, ["batch", "seq"])
    graph = helper.make_graph([helper.make_node("Identity", ["tokens"], ["logits"])], "g", [ids], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert isinstance(model, onnx.ModelProto)
    with pytest.raises(BundleError, match=r"has inputs \['tokens'\]"):
        Qwen3Reranker(with_graph(bundle, tmp_path / "other", model.SerializeToString()), provider="cpu")


def test_a_file_that_is_no_graph_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx is not an ONNX graph"):
        Qwen3Reranker(with_graph(bundle, tmp_path / "noise", b"not a graph"), provider="cpu")
