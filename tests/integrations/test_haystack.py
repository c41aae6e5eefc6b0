"""A Haystack pipeline with its own retriever, and our ranker, loaded from YAML."""

import asyncio
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.core.errors import DeserializationError
from haystack.document_stores.in_memory import InMemoryDocumentStore

from aatm_onnx import Qwen3Reranker, load_reranker
from aatm_onnx.integrations.haystack import OnnxRanker

from .conftest import CANDIDATES, QUERY

Ranked = list[tuple[int, float, str]]
MODULE = "aatm_onnx.integrations.haystack"
DOCUMENTS = [Document(str(index), text, meta={"code": f"C{index}"}) for index, text in enumerate(CANDIDATES)]


def test_a_pipeline_of_bm25_and_our_ranker_goes_through_yaml(ranked: Ranked) -> None:
    store = InMemoryDocumentStore(index="terms")
    store.write_documents(DOCUMENTS)
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(store, top_k=10))
    pipeline.add_component("ranker", OnnxRanker(top_k=3, provider="cpu", threads=1))
    pipeline.connect("retriever.documents", "ranker.documents")
    text = pipeline.dumps()
    assert "threads: 1" in text
    loaded = Pipeline.loads(text, allowed_modules=[MODULE])
    loaded.warm_up()
    for each in (pipeline, loaded):
        words = " ".join(CANDIDATES)  # BM25 finds documents that share a word with its query; it should find all
        found = each.run({"retriever": {"query": words}, "ranker": {"query": QUERY}})["ranker"]["documents"]
        assert [document.id for document in found] == [str(index) for index, _, _ in ranked[:3]]
        assert [document.score for document in found] == [pytest.approx(score, abs=1e-6) for _, score, _ in ranked[:3]]
        assert [document.meta["code"] for document in found] == [f"C{index}" for index, _, _ in ranked[:3]]
    with pytest.raises(DeserializationError):
        Pipeline.loads(text)


def test_what_two_retrievers_find_is_ranked_once(ranked: Ranked) -> None:
    store = InMemoryDocumentStore(index="both")
    store.write_documents(DOCUMENTS)
    pipeline = Pipeline()
    pipeline.add_component("ranker", OnnxRanker(top_k=len(CANDIDATES), provider="cpu"))
    for name in ("first", "second"):
        pipeline.add_component(name, InMemoryBM25Retriever(store))
        pipeline.connect(f"{name}.documents", "ranker.documents")
    query = {"query": " ".join(CANDIDATES)}
    found = pipeline.run({"first": query, "second": query, "ranker": {"query": QUERY}})["ranker"]["documents"]
    assert [document.id for document in found] == [str(index) for index, _, _ in ranked]
    scored = [Document("1", "a", meta={"score": score}, score=score) for score in (None, 0.2, 0.3, 0.3, 0.1)]
    (best,) = OnnxRanker(provider="cpu").run(QUERY, scored)["documents"]
    assert best.meta["score"] == 0.3


def test_the_model_is_opened_by_warm_up_and_not_before() -> None:
    ranker = OnnxRanker("no such model")
    with pytest.raises(ValueError, match="no such model"):
        ranker.warm_up()


def test_an_async_pipeline_takes_it(ranked: Ranked) -> None:
    pipeline = Pipeline()
    pipeline.add_component("ranker", OnnxRanker(provider="cpu"))
    done = asyncio.run(pipeline.run_async({"ranker": {"query": QUERY, "documents": DOCUMENTS, "top_k": 1}}))
    assert [document.content for document in done["ranker"]["documents"]] == [ranked[0][2]]


def test_runs_side_by_side_open_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def load(*arguments: Any, **options: Any) -> Any:
        opened.append(arguments)
        return load_reranker(*arguments, **options)

    monkeypatch.setattr(f"{MODULE}.load_reranker", load)
    ranker = OnnxRanker(provider="cpu")

    async def runs() -> None:
        await asyncio.gather(*(ranker.run_async(QUERY, DOCUMENTS) for _ in range(4)))

    asyncio.run(runs())
    assert len(opened) == 1


def test_threshold_metadata_and_what_is_wrong(ranked: Ranked) -> None:
    threshold = ranked[1][1] - 1e-6
    found = OnnxRanker(provider="cpu", score_threshold=threshold).run(QUERY, DOCUMENTS)["documents"]
    assert [document.content for document in found] == [text for _, _, text in ranked[:2]]
    for_one_run = OnnxRanker(provider="cpu", score_threshold=2).run(QUERY, DOCUMENTS, score_threshold=threshold)
    assert for_one_run["documents"] == found
    assert all(document.score is None for document in DOCUMENTS)
    (with_code,) = OnnxRanker(provider="cpu", meta_fields_to_embed=["code"]).run(QUERY, DOCUMENTS[:1])["documents"]
    expected = Qwen3Reranker(provider="cpu").score(QUERY, [f"C0\n{CANDIDATES[0]}"])[0]
    assert with_code.score == pytest.approx(expected, abs=1e-6)
    falsy = Document(content="a", meta={"grade": 0, "stage": None, "valid": False})
    ranker = OnnxRanker(provider="cpu", meta_fields_to_embed=[*falsy.meta, "other"])
    (with_zero,) = ranker.run(QUERY, [falsy])["documents"]
    assert with_zero.score == pytest.approx(Qwen3Reranker(provider="cpu").score(QUERY, ["0\nFalse\na"])[0], abs=1e-6)
    with pytest.raises(ValueError, match=r"top_k \(None returns all\) must be at least 1, not 0"):
        OnnxRanker(top_k=0)
    with pytest.raises(ValueError, match=r"top_k \(None returns all\) must be a whole number, not '2'"):
        OnnxRanker(top_k="2")
    with pytest.raises(ValueError, match="meta_fields_to_embed must be a list of strings, not one string"):
        OnnxRanker(meta_fields_to_embed="code")
    with pytest.raises(ValueError, match="Document none has no text"):
        OnnxRanker(provider="cpu").run(QUERY, [Document("none")])
    assert OnnxRanker(provider="cpu").run(QUERY, [])["documents"] == []
