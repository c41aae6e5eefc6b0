"""A user's program passes the type checker that knows the frameworks."""

import subprocess
import sys
from pathlib import Path

from .test_examples import ROOT

PROGRAM = """
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore

from aatm_onnx.integrations import langchain, llama_index
from aatm_onnx.integrations.cross_encoder import CrossEncoder


def compressed(documents: list[Document]) -> list[Document]:
    reranker = langchain.OnnxReranker(top_n=1, threads=2, provider="cpu")
    return list(reranker.compress_documents(documents, "kidney stones"))


def processed(nodes: list[NodeWithScore]) -> list[NodeWithScore]:
    return llama_index.OnnxReranker(model="bm25", fallback="bm25").postprocess_nodes(nodes, query_str="kidney stones")


def scored(documents: list[str]) -> list[tuple[float, str]]:
    scores = CrossEncoder().predict([("kidney stones", document) for document in documents])
    return [(float(score), document) for score, document in zip(scores, documents)] + [(float(scores[0]), "again")]
"""


def test_a_program_with_options_of_the_reranker_passes_mypy(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", "program.py"]
    environment = {"MYPYPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    assert "program.py:" not in done.stdout, done.stdout  # what it says of the checkout itself is `make check`'s
