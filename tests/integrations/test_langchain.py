"""LangChain's own retriever and reranker with ours inside."""

import asyncio
import pickle

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import CrossEncoderReranker
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from aatm_onnx.integrations.langchain import OnnxCrossEncoder, OnnxReranker

from .conftest import CANDIDATES, QUERY

Ranked = list[tuple[int, float, str]]
DOCUMENTS = [Document(text, id=str(index), metadata={"code": f"C{index}"}) for index, text in enumerate(CANDIDATES)]


class Everything(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return DOCUMENTS


def compressed(compressor: object) -> ContextualCompressionRetriever:
    return ContextualCompressionRetriever(base_retriever=Everything(), base_compressor=compressor)


def test_the_compressor_keeps_ids_and_metadata_and_adds_the_score(ranked: Ranked) -> None:
    retriever = compressed(OnnxReranker(top_n=3, provider="cpu"))
    found = retriever.invoke(QUERY)
    assert [document.id for document in found] == [str(index) for index, _, _ in ranked[:3]]
    for document, (index, score, text) in zip(found, ranked, strict=False):
        assert document.page_content == text
        assert document.metadata == {"code": f"C{index}", "relevance_score": pytest.approx(score, abs=1e-6)}
    assert all("relevance_score" not in document.metadata for document in DOCUMENTS)
    assert asyncio.run(retriever.ainvoke(QUERY)) == found


def test_langchains_reranker_takes_the_cross_encoder(ranked: Ranked) -> None:
    retriever = compressed(CrossEncoderReranker(model=OnnxCrossEncoder(provider="cpu"), top_n=2))
    assert [document.page_content for document in retriever.invoke(QUERY)] == [text for _, _, text in ranked[:2]]


def test_it_is_serialized_as_a_pydantic_model() -> None:
    compressor = OnnxReranker(top_n=3, provider="cpu", threads=1)
    assert compressor.model_dump() == {"model": "default", "top_n": 3, "provider": "cpu", "threads": 1}
    again = [OnnxReranker.model_validate_json(compressor.model_dump_json()), pickle.loads(pickle.dumps(compressor))]
    expected = compressor.compress_documents(DOCUMENTS, QUERY)
    assert all(each.compress_documents(DOCUMENTS, QUERY) == expected for each in again)
    assert compressor.compress_documents([], QUERY) == []


def test_an_unknown_option_is_said_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="thread_count"):
        OnnxReranker(thread_count=1)
    with pytest.raises(ValueError, match=r"top_n\s+Input should be greater than or equal to 1"):
        OnnxReranker(top_n=0)
