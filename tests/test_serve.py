"""The server, asked over HTTP as its clients ask."""

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aatm_onnx import Qwen3Reranker
from aatm_onnx.serve.metrics import Metrics
from aatm_onnx.serve.models import Models
from aatm_onnx.serve.settings import Limits, Settings

from .serving import Running, models, serving

QUERY = "kidney stones"
DOCUMENTS = ["Gallstones", "Nephrolithiasis", "Renal cyst"]
ASK = {"query": QUERY, "documents": DOCUMENTS}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def expected() -> list[float]:
    return Qwen3Reranker(provider="cpu").score(QUERY, DOCUMENTS)


def best_first(scores: list[float]) -> list[int]:
    """The documents' indices, the highest score first."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def post(server: Running, path: str, body: Any) -> Any:
    answer = server.client.post(path, content=json.dumps(body))  # in ASCII: half a surrogate pair reaches the server
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_cohere_gets_scores_best_first(server: Running, expected: list[float]) -> None:
    body = {"model": "x", **ASK, "top_n": None, "max_tokens_per_doc": None, "unknown": {"a": 1}}
    answer = post(server, "/v2/rerank", body)
    assert [result["index"] for result in answer["results"]] == best_first(expected)
    assert {result["index"]: result["relevance_score"] for result in answer["results"]} == pytest.approx(
        dict(enumerate(expected)), abs=1e-6
    )
    assert all("document" not in result for result in answer["results"])
    assert answer["usage"]["total_tokens"] == answer["meta"]["tokens"]["input_tokens"] > 0
    assert answer["model"].startswith("aatm-onnx-terminology-")
    assert "warnings" not in answer["meta"]


def test_tei_gets_a_bare_array(server: Running, expected: list[float]) -> None:
    answer = post(server, "/rerank", {"query": QUERY, "texts": DOCUMENTS, "return_text": True, "truncate": None})
    assert (answer[0]["index"], answer[0]["text"]) == (1, "Nephrolithiasis")
    assert answer[0]["score"] == pytest.approx(expected[1], abs=1e-6)


def test_voyage_gets_data(server: Running, expected: list[float]) -> None:
    answer = post(server, "/v1/rerank", {**ASK, "top_k": None, "return_documents": True, "truncation": True})
    assert [result["document"] for result in answer["data"]] == [DOCUMENTS[i] for i in best_first(expected)]
    assert answer["usage"]["total_tokens"] > 0


def test_documents_come_back_whole_with_their_ids(server: Running) -> None:
    documents = [{"text": text, "id": f"C{index}", "note": "\ud800"} for index, text in enumerate(DOCUMENTS)]
    answer = post(server, "/v1/rerank", {"query": QUERY, "documents": documents, "return_documents": "true"})
    best = answer["results"][0]
    assert (best["id"], best["document"]) == ("C1", documents[1])


def test_rank_fields_choose_what_is_read(server: Running) -> None:
    documents = [{"name": text, "code": "7"} for text in DOCUMENTS]
    answer = post(server, "/v1/rerank", {"query": QUERY, "documents": documents, "rank_fields": ["name"]})
    assert answer["results"][0]["index"] == 1


@pytest.mark.parametrize(("asked", "returned"), [(1, 1), (0, 3), (7, 3), (2.0, 2)])
def test_top_n(server: Running, asked: float, returned: int) -> None:
    assert len(post(server, "/rerank", {**ASK, "top_n": asked})["results"]) == returned


def test_an_instruction_changes_scores_as_it_does_in_python(server: Running) -> None:
    task = "Find the name of a fruit."
    expected = Qwen3Reranker(provider="cpu").score(QUERY, DOCUMENTS, task=task)
    for given in ({"instruction": task}, {"instruct": task}, {"chat_template_kwargs": {"instruction": task}}):
        answer = post(server, "/rerank", {**ASK, **given})
        scores = {result["index"]: result["relevance_score"] for result in answer["results"]}
        assert scores == pytest.approx(dict(enumerate(expected)), abs=1e-6)


def test_raw_scores_are_logits(server: Running) -> None:
    (pairs,) = Qwen3Reranker(provider="cpu").score_pairs([QUERY], [DOCUMENTS])
    for raw in ({"raw_scores": True}, {"use_activation": False}):
        answer = post(server, "/rerank", {**ASK, **raw})
        assert answer["results"][0]["relevance_score"] == pytest.approx(pairs[1].logit, abs=1e-4)


def test_score_and_predict_keep_the_order_given(server: Running, expected: list[float]) -> None:
    for left, right in (("text_1", "text_2"), ("data_1", "data_2"), ("queries", "documents"), ("queries", "items")):
        answer = post(server, "/v1/score", {left: QUERY, right: DOCUMENTS})
        assert [row["score"] for row in answer["data"]] == pytest.approx(expected, abs=1e-6)
    zipped = post(server, "/score", {"text_1": [QUERY] * 3, "text_2": DOCUMENTS})
    assert [row["score"] for row in zipped["data"]] == pytest.approx(expected, abs=1e-6)
    rows = post(server, "/predict", {"inputs": [[QUERY, text] for text in DOCUMENTS]})
    assert [row[0]["score"] for row in rows] == pytest.approx(expected, abs=1e-6)
    single = post(server, "/predict", {"inputs": [QUERY, DOCUMENTS[1]]})
    assert single[0]["score"] == pytest.approx(expected[1], abs=1e-6)


def test_what_was_cut_is_said(server: Running) -> None:
    with serving(models(max_length=40)) as short:
        body = {"query": QUERY, "documents": ["Nephrolithiasis", "kidney " * 100], "return_documents": True}
        answer = post(short, "/rerank", body)
        assert [
            result.get("truncated", False) for result in sorted(answer["results"], key=lambda each: each["index"])
        ] == [
            False,
            True,
        ]
        assert answer["meta"]["warnings"] == ["1 of 2 documents were cut to fit the model."]
        refused = short.client.post("/rerank", json={**body, "truncate": False})
        assert (refused.status_code, refused.json()["error_type"]) == (422, "Tokenizer")
        assert "does not fit 40 tokens" in refused.json()["message"]


def test_info_and_models_say_what_dify_and_xinference_read(server: Running) -> None:
    info = server.client.get("/info").json()
    assert "reranker" in info["model_type"]
    assert info["max_input_length"] == 8192
    assert info["max_client_batch_size"] == 10_000
    (model,) = server.client.get("/v1/models").json()["data"]
    assert server.client.get(f"/v1/models/{model['id']}").json() == model
    assert server.client.get("/v1/models/default").json() == model
    assert server.client.get("/v1/models/other").status_code == 404


WRONG: list[tuple[Any, int, str]] = [
    (b"{", 400, "not JSON"),
    (b'{"query": "\xff"}', 400, "not UTF-8"),
    (b"[" * 100_000, 400, "nested too deeply"),
    (b'{"query": NaN}', 400, "NaN"),
    (b"[]", 422, "must be a JSON object, not an array"),
    ({"query": "a"}, 422, "documents (or texts) is missing"),
    ({"query": "a", "documents": []}, 400, "must not be empty"),
    ({"query": "a", "texts": []}, 400, "must not be empty"),
    ({"query": " ", "documents": ["a"]}, 400, "must not be empty or only whitespace"),
    ({"query": 5, "documents": ["a"]}, 422, "query must be a string, not a number"),
    ({"query": "a", "documents": ["a", 5]}, 422, "documents[1] must be a string"),
    ({"query": "a", "documents": [{"title": "a"}]}, 422, "documents[0] has no text"),
    ({"query": "a", "documents": ["\ud800"]}, 422, "documents[0] is not valid Unicode"),
    ({"query": "a", "documents": ["b"], "top_n": -1}, 422, "top_n must be an integer of at least 0, not -1"),
    ({"query": "a", "documents": ["b"], "top_n": True}, 422, "not a boolean"),
    ({"query": "a", "documents": ["b"], "return_documents": "maybe"}, 422, "must be true or false"),
    ({"query": "a", "texts": ["b"], "truncation_direction": "Left"}, 422, 'must be "right"'),
]


@pytest.mark.parametrize(("body", "status", "message"), WRONG)
def test_wrong_requests_get_one_sentence_that_every_client_can_read(
    server: Running, body: Any, status: int, message: str
) -> None:
    answer = server.client.post("/rerank", content=body if isinstance(body, bytes) else json.dumps(body))
    said = answer.json()
    assert (answer.status_code, set(said)) == (status, {"error", "error_type", "message", "detail"})
    assert message in said["message"]


def test_a_compressed_body_is_refused_by_its_name(server: Running) -> None:
    body = gzip.compress(json.dumps({"query": "kidney", "documents": ["stone"]}).encode())
    for path in ("/v1/rerank", "/v1/rerank/batch"):
        answer = server.client.post(path, content=body, headers={"content-encoding": "gzip"})
        assert "encoded (gzip)" in answer.json()["error"]
        assert 415 in (answer.status_code, answer.json().get("status"))


def test_paths_and_methods_that_do_not_exist(server: Running) -> None:
    assert server.client.post("/v3/rerank", json=ASK).json()["message"] == "Not Found: POST /v3/rerank"
    wrong = server.client.get("/v1/rerank")
    assert (wrong.status_code, wrong.json()["error_type"]) == (405, "NotFound")


def test_a_request_has_an_id_and_a_client_may_choose_it(server: Running) -> None:
    assert (
        server.client.post("/rerank", json=ASK, headers={"x-request-id": "mine-7"}).headers["x-request-id"] == "mine-7"
    )
    odd = server.client.post("/rerank", json=ASK, headers={"x-request-id": "a b"}).headers["x-request-id"]
    assert len(odd) == 32


def test_metrics_count_what_happened(server: Running) -> None:
    def value(name: str) -> float:
        lines = server.client.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    before = value("aatm_pairs_total")
    post(server, "/rerank", ASK)
    assert value("aatm_pairs_total") - before == 3
    assert value("aatm_queue_pairs") == 0
    assert value("aatm_tokens_per_second") > 0
    assert value("aatm_model_info{") == 1
    assert value('aatm_requests_total{endpoint="/rerank",status="200"}') > 0


def test_too_large_requests_are_refused_and_the_client_can_read_why() -> None:
    limits = Limits(body_bytes=1000, documents=5, characters=500)
    with serving(settings=Settings(limits)) as small:
        for documents, message in (
            (["a"] * 6, "6 documents"),
            (["a" * 600], "606 characters"),
            (["a" * 2_000_000], "bytes"),
        ):
            answer = small.client.post("/rerank", json={"query": "abcdef", "documents": documents})
            assert (answer.status_code, message in answer.json()["error"]) == (413, True)


class Gate:
    """Loads the default model, whose scoring waits at a gate."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, served: Models, metrics: Metrics) -> None:
        models()(served, metrics)
        (model,) = served
        scored, opened = model.reranker.score_pairs, self.open

        def score_pairs(*arguments: Any, **options: Any) -> Any:
            opened.wait(30)
            return scored(*arguments, **options)

        model.reranker.score_pairs = score_pairs  # type: ignore[method-assign]


def test_while_loading_requests_get_503() -> None:
    loading = threading.Event()

    def load(served: Models, metrics: Metrics) -> None:
        loading.wait(30)
        models()(served, metrics)

    with serving(load, ready=False) as server:
        answers = [server.client.post("/rerank", json=ASK), server.client.get("/ready"), server.client.get("/info")]
        assert [answer.status_code for answer in answers] == [503] * 3
        assert int(answers[0].headers["retry-after"]) > 0
        assert server.client.get("/health").json()["status"] == "loading"
        loading.set()
        while server.client.get("/ready").status_code != 200:
            time.sleep(0.02)
        assert len(post(server, "/rerank", ASK)["results"]) == 3


def test_when_full_requests_get_429_and_nothing_admitted_is_lost() -> None:
    gate = Gate()
    answers: list[Any] = []
    with serving(gate, Settings(Limits(queued_pairs=10))) as server:
        threads = [
            threading.Thread(target=lambda: answers.append(server.client.post("/rerank", json=ASK))) for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        while len(answers) < 9:  # three of twelve fit
            time.sleep(0.01)
        assert {answer.status_code for answer in answers} == {429}
        assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in answers)
        gate.open.set()
        for thread in threads:
            thread.join()
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 9
        assert server.service.admission.pairs == server.service.admission.tokens == 0


def answered(connection: socket.socket) -> int:
    """The status of the next answer, which is read whole."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def test_when_full_a_request_is_refused_before_its_body_is_read() -> None:
    gate = Gate()
    with serving(gate, Settings(Limits(queued_pairs=3))) as server:
        first = threading.Thread(target=server.client.post, args=("/rerank",), kwargs={"json": ASK})
        first.start()
        while server.service.admission.pairs < 3:
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            body = json.dumps(ASK).encode()
            start = f"POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            connection.sendall(start)
            assert answered(connection) == 429
            connection.sendall(body)
            gate.open.set()
            first.join()
            connection.sendall(start + body)  # the connection goes on
            assert answered(connection) == 200


def test_a_request_larger_than_the_queue_is_let_in_when_nothing_waits() -> None:
    with serving(settings=Settings(Limits(queued_pairs=2))) as server:
        assert len(post(server, "/rerank", ASK)["results"]) == 3


def test_a_request_that_takes_too_long_gets_504_and_leaves_nothing_behind() -> None:
    gate = Gate()
    with serving(gate, Settings(Limits(answer_seconds=0.2))) as server:
        answer = server.client.post("/rerank", json=ASK)
        assert answer.status_code == 504
        assert server.service.admission.requests == 0
        gate.open.set()
