"""aatm 0.1.7 whole: its mapper, ChromaDB retriever, command line, task files and HTTP server, with our rerankers.

`make test-aatm` runs this in an environment of its own; the normal suite has `tests/test_aatm.py`.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hashing
import pandas as pd
import pytest
from aatm.registries.rerankers import RERANKERS_REGISTRY, load_reranker
from aatm.rerankers import Qwen3Reranker as AatmsReranker
from aatm.terminology_mapper import TerminologyMapper

import aatm_onnx
from aatm_onnx.aatm import ScoreSelector, register

from .conftest import CACHES, MODEL

OURS = [sys.executable, "-m", "aatm_onnx.cli", "aatm", "--import", "hashing"]
AATMS = [sys.executable, "-c", "import hashing; from aatm.main import app; app()"]
# aatm holds the logits of every token of a batch, 151,669 floats each, hence two concepts at a time.
FEW = ["map", "-i", "concepts.csv", "-b", "2", "-l", "6", "-r", hashing.NAME]


def run(*command: str, code: int = 0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def mapped(folder: Path) -> bytes:
    return (folder / "mapped_source_concepts.csv").read_bytes()


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "mapped_source_concepts.csv")


@pytest.fixture(scope="module")
def torchs(workspace: Path, checkpoint: Path) -> bytes:
    """What aatm alone writes: its command line, its torch reranker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        run(*AATMS, *FEW, "-o", "torch", "-rr", "qwen3-reranker-0.6b")
    return mapped(workspace / "torch")


def test_the_command_line_writes_the_same_file_as_aatms_own_reranker(here: Path, torchs: bytes) -> None:
    run(*OURS, *FEW, "-o", "onnx", "-rr", "onnx-qwen3-reranker-0.6b")
    assert mapped(here / "onnx") == torchs
    run(*AATMS, *FEW, "-o", "retriever")
    assert mapped(here / "retriever") != torchs  # the reranker did decide something


def test_a_task_file_with_aatms_names_leads_to_ours(here: Path, torchs: bytes) -> None:
    (here / "task.yaml").write_text(
        f"input_file: concepts.csv\noutput_dir: task\nretriever_id: {hashing.NAME}\n"
        "reranker_id: qwen3-reranker-0.6b\nbatch_size: 2\nlimit_to: 6\n"
    )
    run(*OURS[:-2], "--aatm-names", "--import", "hashing", "map", "--task-config-path", "task.yaml")
    assert mapped(here / "task") == torchs


def test_confidence_is_the_rerank_score_from_torch_and_from_ours(here: Path, checkpoint: Path) -> None:
    tables = {}
    for name in ("qwen3-reranker-0.6b", "onnx-qwen3-reranker-0.6b"):
        run(*OURS, *FEW, "-o", name, "-rr", name, "-s", "onnx-score")
        tables[name] = pd.read_csv(here / name / "mapped_source_concepts.csv")
    torchs, ours = tables.values()
    pd.testing.assert_frame_equal(ours, torchs, rtol=0, atol=1e-5)
    assert ours["confidence_score"].between(0, 1).all()


def test_the_python_interface_takes_our_objects_and_our_names(here: Path) -> None:
    reranker = aatm_onnx.Qwen3Reranker(provider="cpu")
    options = {"input_file": here / "concepts.csv", "retriever": hashing.NAME, "selector": ScoreSelector()}
    by_object = TerminologyMapper(output_dir=here / "object", reranker=reranker, **options).map()
    by_name = TerminologyMapper(output_dir=here / "name", reranker="onnx-default", **options).map()
    pd.testing.assert_frame_equal(by_object, by_name)
    assert mapped(here / "object") == mapped(here / "name")
    names = {code: name for name, code in zip(_names(here), range(1000, 9999), strict=False)}
    chosen = {
        row.source_code_description: (names[int(row.target_concept_id)], row.confidence_score)
        for row in by_object.itertuples()
    }
    assert chosen["wt loss"][0] == "Weight loss"
    assert chosen["wt loss"][1] == pytest.approx(reranker.score("wt loss", ["Weight loss"])[0], abs=1e-6)


def _names(here: Path) -> list[str]:
    return pd.read_csv(here / ".aatm" / "datasets" / "standard_concept.csv")["expression"].to_list()


def test_what_the_score_does_not_support_stays_empty(here: Path) -> None:
    def tables(selector: ScoreSelector) -> pd.DataFrame:
        options = {"retriever": hashing.NAME, "reranker": "onnx-default", "selector": selector}
        return TerminologyMapper(here / "concepts.csv", here / "few", **options).map()

    everything = tables(ScoreSelector())
    limit = float(everything["confidence_score"].median()) - 1e-5  # other batches change the seventh digit
    kept = tables(ScoreSelector(min_score=limit))
    found = kept["target_concept_id"].notna()
    assert 0 < found.sum() < len(kept) == len(everything)
    assert list(found) == list(everything["confidence_score"] >= limit)
    pd.testing.assert_frame_equal(kept[found], everything[found])
    assert kept["confidence_score"][~found].isna().all()
    (here / "few.yaml").write_text(
        f"input_file: concepts.csv\noutput_dir: few-cli\nretriever_id: {hashing.NAME}\n"
        "reranker_id: onnx-default\nselector_id: onnx-score\n"
    )
    run(*OURS, "--min-score", repr(limit), "map", "--task-config-path", "few.yaml")
    pd.testing.assert_frame_equal(table(here / "few-cli"), table(here / "few"), rtol=0, atol=1e-6)


def test_a_margin_and_a_bundle_of_ones_own_on_the_command_line(here: Path, checkpoint: Path) -> None:
    options = {"limit_to": 6, "retriever": hashing.NAME, "reranker": "onnx-qwen3-reranker-0.6b"}
    own = ["--bundle", f"own={CACHES / 'bundles' / MODEL.split('/')[1]}"]
    kept = {}
    for margin in (0.0, 1.0, 0.01):
        selector = ScoreSelector(min_margin=margin)
        mapper = TerminologyMapper(here / "concepts.csv", here / "margin", selector=selector, batch_size=2, **options)
        kept[margin] = mapper.map()["target_concept_id"].notna().sum()
    assert kept[0.0] == 6 > kept[0.01] > kept[1.0] == 0
    run(*OURS, *own, "--min-margin", "0.01", *FEW, "-o", "own", "-rr", "own", "-s", "onnx-score")
    pd.testing.assert_frame_equal(table(here / "own"), table(here / "margin"), rtol=0, atol=1e-6)


def test_aatms_names_lead_to_ours_and_back(checkpoint: Path) -> None:
    try:
        register(aatm_names=True)
        assert isinstance(load_reranker("qwen3-reranker-0.6b"), aatm_onnx.Qwen3Reranker)
        assert isinstance(load_reranker("bm25-reranker"), aatm_onnx.BM25Reranker)
    finally:
        register()
    assert RERANKERS_REGISTRY["qwen3-reranker-0.6b"].reranker_class is AatmsReranker
    assert isinstance(load_reranker("onnx-qwen3-reranker-0.6b", max_length=512), aatm_onnx.Qwen3Reranker)


def test_what_is_wrong_is_said_in_one_sentence(here: Path) -> None:
    said = run(*OURS, *FEW, "-o", "wrong", "-rr", "onnx-qwen3-reranker-4b", code=1)
    assert said.splitlines()[-1].startswith("Error: There is no bundle of Qwen/Qwen3-Reranker-4B")
    said = run(*OURS, *FEW, "-o", "wrong", "-rr", "onnx-qwen4", code=1)
    assert said.splitlines()[-1].startswith(
        "Error: Reranker 'onnx-qwen4' not found. Available rerankers: bm25-reranker"
    )
    said = run(*OURS, *FEW, "-o", "wrong", "-rr", "onnx-bm25", "-s", "onnx-score", code=1)
    assert "which is not a probability" in said.splitlines()[-1]
    assert not (here / "wrong" / "mapped_source_concepts.csv").exists()


@pytest.fixture
def server(here: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*OURS, "serve", "--host", "127.0.0.1", "--port", str(port), "--mode", "prod"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1000):
            if process.poll() is not None:
                raise AssertionError(process.communicate()[0])
            try:
                urllib.request.urlopen(f"{address}/openapi.json", timeout=5).close()
                break
            except urllib.error.URLError:
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=300)  # beside other work, 30 s were not enough once


def test_the_http_server_knows_our_names(here: Path, server: str) -> None:
    request: dict[str, Any] = {
        "source_concepts": [{"source_code_description": "wt loss"}, {"source_code_description": "kidney stones"}],
        "retriever_id": hashing.NAME,
        "reranker_id": "onnx-default",
        "selector_id": "onnx-score",
    }
    post = urllib.request.Request(f"{server}/map", json.dumps(request).encode(), {"Content-Type": "application/json"})
    answered = json.loads(urllib.request.urlopen(post, timeout=600).read())
    expected = TerminologyMapper(retriever=hashing.NAME, reranker="onnx-default", selector="onnx-score").map(
        ["wt loss", "kidney stones"], return_as="mapped_source_concepts", save_to_disk=False
    )
    assert [one["target_concept_id"] for one in answered] == [one.target_concept_id for one in expected]
    assert [one["confidence_score"] for one in answered] == pytest.approx([one.confidence_score for one in expected])
