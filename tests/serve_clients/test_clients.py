"""Real clients against a real server: each ranks the same documents and must find the same order."""

import os

import pytest

from ..serving import Running
from .conftest import BEST_FIRST, DOCUMENTS, KEY, QUERY

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise LiteLLM asks the network when imported
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")


def in_order(texts: list[str]) -> bool:
    return texts == [DOCUMENTS[index] for index in BEST_FIRST]


def is_probability(score: float) -> bool:
    return 0 < score < 1


@pytest.mark.parametrize("suffix", ["", "/v1"])  # the second is a common mistake: it asks /v1/v1/rerank
def test_cohere_client(server: Running, suffix: str) -> None:
    import cohere

    client = cohere.Client(api_key=KEY, base_url=server.url + suffix)
    answer = client.rerank(query=QUERY, documents=DOCUMENTS, model="any", return_documents=True, top_n=None)
    assert in_order([result.document.text for result in answer.results])
    objects = [{"text": text, "id": str(index)} for index, text in enumerate(DOCUMENTS)]
    answer = client.rerank(query=QUERY, documents=objects, model="any", top_n=2, rank_fields=["text"])
    assert [result.index for result in answer.results] == BEST_FIRST[:2]
    assert answer.meta is not None


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_cohere_client_v2(server: Running, suffix: str) -> None:
    import cohere

    client = cohere.ClientV2(api_key=KEY, base_url=server.url + suffix)
    answer = client.rerank(model="any", query=QUERY, documents=DOCUMENTS, top_n=None, max_tokens_per_doc=None)
    assert [result.index for result in answer.results] == BEST_FIRST
    assert all(is_probability(result.relevance_score) for result in answer.results)
    assert answer.id


def test_cohere_reads_errors(server: Running) -> None:
    import cohere

    client = cohere.ClientV2(api_key=KEY, base_url=server.url)
    with pytest.raises(cohere.BadRequestError, match="must not be empty"):
        client.rerank(model="any", query=QUERY, documents=[])
    with pytest.raises(cohere.UnauthorizedError, match="API key"):
        cohere.ClientV2(api_key="wrong", base_url=server.url).rerank(model="any", query=QUERY, documents=DOCUMENTS)


def test_langchain_cohere(server: Running) -> None:
    from langchain_cohere import CohereRerank
    from langchain_core.documents import Document

    reranker = CohereRerank(cohere_api_key=KEY, base_url=server.url, model="any", top_n=2)
    ranked = reranker.compress_documents([Document(text) for text in DOCUMENTS], QUERY)
    assert [document.page_content for document in ranked] == [DOCUMENTS[index] for index in BEST_FIRST[:2]]
    assert [result["index"] for result in reranker.rerank(DOCUMENTS, QUERY, top_n=None)] == BEST_FIRST


def test_llama_index_tei(server: Running) -> None:
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    nodes = [NodeWithScore(node=TextNode(text=text)) for text in DOCUMENTS]
    for token in (KEY, f"Bearer {KEY}"):  # it is sent as given
        reranker = TextEmbeddingInference(base_url=server.url, auth_token=token, top_n=3)
        assert in_order([node.text for node in reranker.postprocess_nodes(nodes, query_str=QUERY)])


def test_llama_index_cohere(server: Running) -> None:
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    nodes = [NodeWithScore(node=TextNode(text=text)) for text in DOCUMENTS]
    reranker = CohereRerank(api_key=KEY, base_url=server.url, model="any", top_n=3)
    assert in_order([node.text for node in reranker.postprocess_nodes(nodes, query_str=QUERY)])


def test_haystack_cohere(server: Running) -> None:
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker

    ranker = CohereRanker(model="any", api_key=Secret.from_token(KEY), api_base_url=server.url, top_k=3)
    ranked = ranker.run(query=QUERY, documents=[Document(content=text) for text in DOCUMENTS])["documents"]
    assert in_order([document.content for document in ranked])


def test_haystack_tei(server: Running) -> None:
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    for raw in (False, True):
        ranker = HuggingFaceTEIRanker(url=server.url, token=Secret.from_token(KEY), raw_scores=raw, top_k=3)
        ranked = ranker.run(query=QUERY, documents=[Document(content=text) for text in DOCUMENTS])["documents"]
        assert in_order([document.content for document in ranked])


def test_haystack_vllm(server: Running) -> None:
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.vllm import VLLMRanker

    ranker = VLLMRanker(
        model="any",
        api_key=Secret.from_token(KEY),
        api_base_url=f"{server.url}/v1",
        extra_parameters={"instruction": "Find the disease."},
    )
    answer = ranker.run(query=QUERY, documents=[Document(content=text) for text in DOCUMENTS])
    assert {document.content for document in answer["documents"]} == set(DOCUMENTS)
    assert answer["meta"]["model"].startswith("aatm-onnx-terminology-")


def test_voyageai(server: Running) -> None:
    import voyageai

    client = voyageai.Client(api_key=KEY, base_url=f"{server.url}/v1")
    answer = client.rerank(QUERY, DOCUMENTS, model="any", top_k=None, truncation=True)
    assert in_order([result.document for result in answer.results])
    assert answer.total_tokens > 0
    assert len(client.rerank(QUERY, DOCUMENTS, model="any", top_k=1).results) == 1


@pytest.mark.parametrize("provider", ["cohere", "hosted_vllm", "infinity", "jina_ai", "huggingface"])
def test_litellm(server: Running, provider: str) -> None:
    import litellm

    base = f"{server.url}/v1" if provider == "jina_ai" else server.url
    # its infinity adapter wants a document as a string, the others as an object; the request doesn't say which it is
    documents = {"return_documents": provider != "infinity"}
    answer = litellm.rerank(
        model=f"{provider}/any", query=QUERY, documents=DOCUMENTS, top_n=3, api_base=base, api_key=KEY, **documents
    )  # fmt: skip
    assert [result["index"] for result in answer.results] == BEST_FIRST
    assert all(is_probability(result["relevance_score"]) for result in answer.results)
