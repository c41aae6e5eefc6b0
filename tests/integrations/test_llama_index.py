"""LlamaIndex's own retriever query engine with our postprocessor."""

import asyncio
import pickle
from typing import Any

import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

from aatm_onnx import Qwen3Reranker
from aatm_onnx.integrations.llama_index import OnnxReranker

from .conftest import CANDIDATES, QUERY

Ranked = list[tuple[int, float, str]]


def engine(reranker: OnnxReranker) -> tuple[RetrieverQueryEngine, Any]:
    nodes = [
        TextNode(text=text, id_=str(index), metadata={"code": f"C{index}"}, excluded_embed_metadata_keys=["code"])
        for index, text in enumerate(CANDIDATES)
    ]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4))
    Settings.llm = MockLLM()
    synthesizer = get_response_synthesizer(response_mode=ResponseMode.NO_TEXT)
    retriever = index.as_retriever(similarity_top_k=len(CANDIDATES))
    return RetrieverQueryEngine(retriever, synthesizer, node_postprocessors=[reranker]), retriever


def test_a_query_engine_returns_nodes_with_our_scores(ranked: Ranked) -> None:
    whole, retriever = engine(OnnxReranker(top_n=4, provider="cpu"))
    found = whole.query(QUERY).source_nodes
    expected = {text: score for _, score, text in ranked}
    assert [each.node.get_content() for each in found] == [text for _, _, text in ranked[:4]]
    assert [each.score for each in found] == [
        pytest.approx(expected[each.node.get_content()], abs=1e-6) for each in found
    ]
    assert [each.node.node_id for each in found] == [str(index) for index, _, _ in ranked[:4]]
    assert [each.node.metadata for each in found] == [{"code": f"C{index}"} for index, _, _ in ranked[:4]]
    assert [each.node.node_id for each in retriever.retrieve(QUERY)][:4] != [each.node.node_id for each in found]
    again = asyncio.run(whole.aquery(QUERY)).source_nodes
    assert [(each.node.node_id, each.score) for each in again] == [(each.node.node_id, each.score) for each in found]


def test_the_text_is_what_is_embedded() -> None:
    node = TextNode(text="Nephrolithiasis", metadata={"domain": "Condition"})
    (ranked,) = OnnxReranker(provider="cpu").postprocess_nodes([NodeWithScore(node=node)], query_str=QUERY)
    text = node.get_content(metadata_mode=MetadataMode.EMBED)
    assert "Condition" in text
    assert ranked.score == pytest.approx(Qwen3Reranker(provider="cpu").score(QUERY, [text])[0], abs=1e-6)


def test_it_is_serialized_as_a_component_and_says_what_it_does() -> None:
    reranker = OnnxReranker(top_n=2, provider="cpu", threads=1)
    data = reranker.to_dict()
    assert data == {"class_name": "OnnxReranker", "model": "default", "top_n": 2, "provider": "cpu", "threads": 1}
    events: list[str] = []

    class Listener(BaseEventHandler):
        def handle(self, event: Any, **_: Any) -> None:
            events.append(type(event).__name__)

    get_dispatcher().add_event_handler(Listener())
    dumped = OnnxReranker.model_validate_json(reranker.model_dump_json())  # with its class_name
    for each in (OnnxReranker.from_dict(data), dumped, pickle.loads(pickle.dumps(reranker))):
        events.clear()
        assert len(engine(each)[0].query(QUERY).source_nodes) == 2
        assert [name for name in events if name.startswith("ReRank")] == ["ReRankStartEvent", "ReRankEndEvent"]


def test_its_callback_manager_hears_of_it() -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    reranker = OnnxReranker(top_n=2, provider="cpu", callback_manager=CallbackManager([handler]))
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in CANDIDATES]
    found = reranker.postprocess_nodes(nodes, query_str=QUERY)
    ((start, end),) = handler.get_event_pairs(CBEventType.RERANKING)
    assert start.payload[EventPayload.QUERY_STR] == QUERY
    assert end.payload[EventPayload.NODES] == found


def test_it_needs_a_query_and_takes_no_nodes() -> None:
    reranker = OnnxReranker(provider="cpu")
    assert reranker.postprocess_nodes([], query_str=QUERY) == []
    with pytest.raises(ValueError, match="needs the query"):
        reranker.postprocess_nodes([])
    with pytest.raises(ValueError, match=r"top_n\s+Input should be greater than or equal to 1"):
        OnnxReranker(top_n=0)
