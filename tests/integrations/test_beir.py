"""BEIR reranks with the CrossEncoder shape."""

from beir.reranking import Rerank

from aatm_onnx.integrations.cross_encoder import CrossEncoder

from .conftest import CANDIDATES, QUERY


def test_beir_reranks_with_it(ranked: list[tuple[int, float, str]]) -> None:
    corpus = {f"d{index}": {"title": "", "text": text} for index, text in enumerate(CANDIDATES)}
    queries = {"q1": QUERY, "q2": "head ache"}
    found = {query: {document: 1 / (1 + place) for place, document in enumerate(corpus)} for query in queries}
    scores = Rerank(CrossEncoder(provider="cpu"), batch_size=4).rerank(corpus, queries, found, top_k=10)
    assert sorted(scores["q1"], key=scores["q1"].__getitem__, reverse=True) == [f"d{index}" for index, _, _ in ranked]
    assert max(scores["q2"], key=scores["q2"].__getitem__) == "d5"
