"""LanceDB's own vector, full-text and hybrid searches with our reranker."""

from pathlib import Path
from typing import Any

import lancedb
import pytest
from lancedb.index import FTS

from aatm_onnx.integrations.lancedb import OnnxReranker

from .conftest import CANDIDATES, QUERY

Ranked = list[tuple[int, float, str]]


@pytest.fixture
def table(tmp_path: Path) -> Any:
    rows = [
        {"text": text, "code": f"C{index}", "vector": [float(index == place) for place in range(8)]}
        for index, text in enumerate(CANDIDATES)
    ]
    made = lancedb.connect(tmp_path).create_table("terms", rows)
    made.create_index("text", config=FTS())
    return made


def test_vector_search(table: Any, ranked: Ranked) -> None:
    reranker = OnnxReranker(provider="cpu")
    found = table.search([0.5] * 8, query_type="vector").rerank(reranker, query_string=QUERY).limit(10).to_arrow()
    assert found["text"].to_pylist() == [text for _, _, text in ranked]
    assert found["code"].to_pylist() == [f"C{index}" for index, _, _ in ranked]
    assert found["_relevance_score"].to_pylist() == [pytest.approx(score, abs=1e-6) for _, score, _ in ranked]
    assert str(found["_relevance_score"].type) == "float"
    assert "_distance" not in found.column_names


@pytest.mark.parametrize("return_score", ["relevance", "all"])
def test_hybrid_search(table: Any, ranked: Ranked, return_score: str) -> None:
    search = table.search(query_type="hybrid").vector([0.5] * 8).text(QUERY).limit(10)
    found = search.rerank(OnnxReranker(provider="cpu", return_score=return_score)).to_arrow()
    assert found["text"].to_pylist() == [text for _, _, text in ranked]
    assert ("_distance" in found.column_names) == (return_score == "all")


def test_full_text_search_and_nothing_found(table: Any, ranked: Ranked) -> None:
    reranker = OnnxReranker(provider="cpu")
    words = "headache in renal disease"  # the search puts the shortest first
    alone = table.search(words, query_type="fts").limit(10).to_arrow()["text"].to_pylist()
    found = table.search(words, query_type="fts").rerank(reranker).limit(10).to_arrow()
    expected = reranker.reranker.rank(words, alone)
    assert len(alone) == 3 and [each.index for each in expected] != [0, 1, 2]
    assert found["text"].to_pylist() == [each.document for each in expected]
    assert found["_relevance_score"].to_pylist() == [pytest.approx(each.score, abs=1e-6) for each in expected]
    assert "_score" not in found.column_names
    nothing = table.search("zzz", query_type="fts").rerank(reranker).limit(10).to_arrow()
    assert nothing.num_rows == 0 and "_relevance_score" in nothing.column_names
    with pytest.raises(ValueError, match=r"no column 'name' to rank by; there are .*text"):
        table.search(QUERY, query_type="fts").rerank(OnnxReranker(column="name", provider="cpu")).to_arrow()
