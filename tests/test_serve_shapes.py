"""Requests as they were read in the sources of open-webui, Dify and RAGFlow, and what these read in an answer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .serving import Running, serving

QUERY = "kidney stones"
DOCUMENTS = ["Gallstones", "Nephrolithiasis", "Renal cyst"]
BEST = 1

Reader = Callable[[Any], dict[int, float]]


def results(answer: Any) -> dict[int, float]:
    return {result["index"]: result["relevance_score"] for result in answer["results"]}


def results_with_objects(answer: Any) -> dict[int, float]:
    assert all(isinstance(result["document"]["text"], str) for result in answer["results"])
    return results(answer)


def results_with_usage(answer: Any) -> dict[int, float]:
    assert answer["usage"]["total_tokens"] > 0
    return results(answer)


def array(answer: Any) -> dict[int, float]:
    return {result["index"]: result["score"] for result in answer}


def array_with_text(answer: Any) -> dict[int, float]:
    assert all(isinstance(result["text"], str) for result in answer)
    return array(answer)


def data(answer: Any) -> dict[int, float]:
    assert all(isinstance(result["document"], str) for result in answer["data"])
    return {result["index"]: result["relevance_score"] for result in answer["data"]}


ASK = {"query": QUERY, "documents": DOCUMENTS}
SHAPES: list[tuple[str, str, dict[str, Any], Reader]] = [
    ("open-webui external", "/v1/rerank", {**ASK, "model": "", "top_n": 3}, results),
    (
        "Dify text-embeddings-inference",
        "/rerank",
        {"query": QUERY, "texts": DOCUMENTS, "return_text": True},
        array_with_text,
    ),
    ("Dify OpenAI-compatible", "/v1/rerank", {**ASK, "model": "m", "top_n": 0}, results),
    ("Dify cohere", "/v1/rerank", {**ASK, "model": "m", "top_n": None, "return_documents": True}, results_with_objects),
    ("Dify jina", "/v1/rerank", {**ASK, "model": "m", "top_n": None}, results),
    ("Dify voyage", "/v1/rerank", {**ASK, "model": "m", "top_k": 3, "return_documents": True}, data),
    ("RAGFlow VLLM and Cohere", "/v1/rerank", {**ASK, "model": "m", "top_n": 3, "return_documents": False}, results),
    ("RAGFlow OpenAI-compatible", "/rerank", {**ASK, "model": "m", "top_n": 3}, results_with_usage),
    (
        "RAGFlow Xinference",
        "/v1/rerank",
        {**ASK, "model": "m", "return_documents": "true", "return_len": "true"},
        results_with_objects,
    ),
    (
        "RAGFlow HuggingFace",
        "/rerank",
        {"query": QUERY, "texts": DOCUMENTS, "raw_scores": False, "truncate": True},
        array,
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving() as running:
        yield running


@pytest.mark.parametrize(("path", "body", "read"), [shape[1:] for shape in SHAPES], ids=[shape[0] for shape in SHAPES])
def test_applications_find_a_score_for_every_document(
    server: Running, path: str, body: dict[str, Any], read: Reader
) -> None:
    answer = server.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    scores = read(answer.json())
    assert sorted(scores) == [0, 1, 2]
    assert max(scores, key=scores.__getitem__) == BEST
    assert all(0 <= score <= 1 for score in scores.values())
