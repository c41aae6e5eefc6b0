"""OntoAligner's own pipeline with our reranker; `make test-ontoaligner` runs this in an environment of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ontoaligner import AlignerPipeline
from ontoaligner.aligner import TFIDFRetrieval
from ontoaligner.encoder import ConceptLightweightEncoder

from aatm_onnx import Qwen3Reranker
from aatm_onnx.integrations.ontoaligner import OnnxRerank, OnnxReranking

ROOT = Path(__file__).parents[2]
QUERY = "kidney stone"
CANDIDATES = ["kidney transplant", "gall stone", "renal calculus", "stone of the kidney"]
DATASET = {
    "source": [{"iri": "local:1", "label": QUERY}],
    "target": [{"iri": f"C{index}", "label": label} for index, label in enumerate(CANDIDATES)],
}


def test_an_aligner_pipeline_reranks_what_its_retriever_found() -> None:
    aligner = TFIDFRetrieval(top_k=4)
    options = {"encoder": ConceptLightweightEncoder(), "aligner": aligner, "load_params": {"path": ""}}
    (found,) = AlignerPipeline(**options, om_dataset=DATASET).generate()
    (ranked,) = AlignerPipeline(
        **options, om_dataset=DATASET, reranker=OnnxReranking(top_k=2, provider="cpu", threads=1)
    ).generate()
    texts = [CANDIDATES[int(iri.removeprefix("C"))] for iri in found["target-cands"]]
    expected = Qwen3Reranker(provider="cpu").rank(QUERY, texts, 2)
    assert ranked["source"] == "local:1"
    assert ranked["target-cands"] != found["target-cands"][:2]  # else nothing would have been reranked
    assert ranked["target-cands"] == [found["target-cands"][each.index] for each in expected]
    assert ranked["score-cands"] == pytest.approx([each.score for each in expected], abs=1e-6)
    assert ranked["retriever-score-cands"] == [found["score-cands"][each.index] for each in expected]


def test_the_older_hook_returns_the_best_of_each_source() -> None:
    outputs = [{"source": "local:1", "target-cands": [f"C{index}" for index in range(4)], "score-cands": [0.5] * 4}]
    targets = {f"C{index}": label for index, label in enumerate(CANDIDATES)}
    best = OnnxRerank(top_n=1, provider="cpu").rerank_retrieval_outputs(outputs, {"local:1": QUERY}, targets)
    expected = Qwen3Reranker(provider="cpu").rank(QUERY, CANDIDATES)[0]
    assert best == [{"source": "local:1", "target": f"C{expected.index}", "score": pytest.approx(expected.score)}]


def test_the_example_and_the_guide_run(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "frameworks.md").read_text("utf-8")
    block = re.search(r"^## OntoAligner\n.*?^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    assert block
    for arguments in ([str(ROOT / "examples" / "with_ontoaligner.py")], ["-c", block[1]]):
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "'target-cands': ['C2'" in done.stdout
