"""What a server must hold under many clients: equal scores, fairness, clients that leave, streams, broken requests."""

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from aatm_onnx import BM25Reranker, Qwen3Reranker
from aatm_onnx.serve.admission import Admission
from aatm_onnx.serve.errors import ApiError
from aatm_onnx.serve.jobs import Group, Lane
from aatm_onnx.serve.metrics import Metrics
from aatm_onnx.serve.models import Models
from aatm_onnx.serve.settings import Limits, Settings

from .serving import Running, models, serving

WORDS = ["kidney", "stone", "acute", "chronic", "renal", "cyst", "heart", "failure", "left", "limb", "pain", "femur"]


def term(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, 6)))


def requests(count: int, documents: int) -> list[dict[str, Any]]:
    """Different queries, half of them with instructions of their own."""
    chance = random.Random(7)
    return [
        {
            "query": term(chance),
            "documents": [term(chance) for _ in range(documents)],
            "instruction": f"Find what is like {term(chance)}." if number % 2 else None,
        }
        for number in range(count)
    ]


async def post_all(url: str, bodies: list[dict[str, Any]]) -> list[Any]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        answers = await asyncio.gather(*(client.post("/rerank", json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json()["results"] for answer in answers]


def scores_of(results: list[dict[str, Any]]) -> list[float]:
    return [result["relevance_score"] for result in sorted(results, key=lambda each: each["index"])]


@pytest.fixture(scope="module")
def int8_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from aatm_onnx_export.export import export_checkpoint

    from .checkpoints import make_checkpoint

    folder = tmp_path_factory.mktemp("int8")
    checkpoint = make_checkpoint(folder / "checkpoint")
    return export_checkpoint(str(checkpoint), folder / "bundle", precision="int8", min_tau=-1.0).path


@pytest.mark.parametrize("precision", ["fp16", pytest.param("int8", marks=pytest.mark.slow)])
def test_a_score_is_the_same_alone_and_together_with_other_requests(
    precision: str, request: pytest.FixtureRequest
) -> None:
    model = "default" if precision == "fp16" else str(request.getfixturevalue("int8_bundle"))
    alone = Qwen3Reranker(model, provider="cpu", cached_tokens=0)
    bodies = [*requests(24, 2), *requests(24, 5)]
    expected = [alone.score(body["query"], body["documents"], task=body["instruction"]) for body in bodies]
    with serving(models(f"m={model}")) as server:
        together = asyncio.run(post_all(server.url, bodies))
    assert [scores_of(results) for results in together] == [pytest.approx(scores, abs=1e-5) for scores in expected]


class Watched:
    """Loads the default model, counts what it scores, and can hold every call back."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()
        self.seconds = seconds
        self.failing = ""

    def __call__(self, served: Models, metrics: Metrics) -> None:
        models()(served, metrics)
        (model,) = served
        scored = model.reranker.score_pairs

        def score_pairs(queries: Any, documents: Any, **options: Any) -> Any:
            self.open.wait(30)
            if self.failing in queries:
                raise SystemExit("a worker dies")
            self.calls.append([len(group) for group in documents])
            time.sleep(self.seconds)
            return scored(queries, documents, **options)

        model.reranker.score_pairs = score_pairs  # type: ignore[method-assign]


def test_small_requests_overtake_a_large_one() -> None:
    watched = Watched(seconds=0.02)
    with serving(watched) as server:
        (large,), small = requests(1, 4000), requests(10, 5)
        answered: list[str] = []

        def post(name: str, body: dict[str, Any]) -> None:
            assert server.client.post("/rerank", json=body).status_code == 200
            answered.append(name)

        sender = threading.Thread(target=post, args=("large", large))
        sender.start()
        while len(watched.calls) < 3:
            time.sleep(0.005)
        for body in small:
            post("small", body)
        sender.join()
        assert answered == ["small"] * 10 + ["large"]
        assert max(map(sum, watched.calls)) < 100  # whatever waits, a run is short


def test_a_small_request_goes_before_the_later_slices_of_large_ones() -> None:
    watched = Watched()
    with serving(watched) as server:
        watched.calls.clear()
        watched.open.clear()
        bodies = [*requests(12, 200), *requests(1, 5)]
        senders = [threading.Thread(target=server.client.post, args=("/rerank",), kwargs={"json": b}) for b in bodies]
        for waiting, sender in enumerate(senders, 1):
            sender.start()
            while server.service.admission.requests < waiting:
                time.sleep(0.005)
        watched.open.set()
        for sender in senders:
            sender.join()
        assert any(5 in call for call in watched.calls[:8])  # two runs of a few slices had begun


def test_small_requests_without_end_do_not_keep_a_large_one_waiting() -> None:
    watched = Watched(seconds=0.005)
    with serving(watched) as server:
        (large,), small = requests(1, 600), requests(8, 5)
        done = threading.Event()

        def ask(body: dict[str, Any]) -> None:
            while not done.is_set():
                assert server.client.post("/rerank", json=body).status_code == 200

        askers = [threading.Thread(target=ask, args=(body,)) for body in small]
        for asker in askers:
            asker.start()
        assert server.client.post("/rerank", json=large, timeout=60).status_code == 200
        done.set()
        for asker in askers:
            asker.join()


def test_requests_of_few_documents_that_wait_are_scored_in_one_call() -> None:
    watched = Watched(seconds=0.1)
    with serving(watched) as server:
        watched.calls.clear()
        asyncio.run(post_all(server.url, requests(24, 2)))
        assert len(watched.calls) <= 6


def test_when_a_client_leaves_the_rest_of_its_request_is_not_scored() -> None:
    watched = Watched(seconds=0.02)
    (large,) = requests(1, 5000)
    with serving(watched) as server:
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{server.url}/rerank", json=large, timeout=0.5)
        while server.service.admission.requests:
            time.sleep(0.01)
        done = sum(map(sum, watched.calls))
        time.sleep(0.2)
        assert sum(map(sum, watched.calls)) <= done + 200
        assert done < 4000
        assert "aatm_cancelled_total 1.0" in server.client.get("/metrics").text


def test_what_kills_a_run_fails_its_requests_and_nothing_else() -> None:
    watched = Watched()
    good, bad = requests(2, 3)
    watched.failing = bad["query"]
    with serving(watched) as server:
        for _ in range(3):
            failed = server.client.post("/rerank", json=bad)
            assert (failed.status_code, failed.json()["error_type"]) == (500, "Backend")
        assert server.client.post("/rerank", json=good).status_code == 200
        assert server.client.get("/health").status_code == 200


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(settings=Settings(Limits(body_bytes=100_000, body_seconds=1.0))) as running:
        yield running


def batch(server: Running, lines: list[Any]) -> list[Any]:
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    answer = server.client.post("/v1/rerank/batch", content=data)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_batch_answers_every_line_in_order_with_its_fields(server: Running) -> None:
    candidates = [{"expression": "Gallstones", "id": 7}, "Nephrolithiasis"]
    rows = batch(
        server,
        [
            {"query": "kidney stones", "candidates": candidates, "row": "a", "top_k": 1},
            {"query": "kidney stones", "candidates": []},
            b"not json",
            {"query": "kidney stones", "documents": ["Gallstones", "Nephrolithiasis"], "id": "mine"},
            {"query": "kidney stones", "texts": ["Gallstones", "Nephrolithiasis"]},
            {"query": "kidney stones", "candidates": ["a", 5]},
        ],
    )
    assert (rows[0]["row"], [result["index"] for result in rows[0]["results"]]) == ("a", [1])
    assert rows[1] == {"query": "kidney stones", "results": []}
    assert (rows[2]["line"], rows[2]["status"], "not JSON" in rows[2]["error"]) == (3, 400, True)
    assert (rows[3]["id"], rows[3]["results"][0]["index"]) == ("mine", 1)
    assert [result["index"] for result in rows[4]] == [1, 0]
    assert (rows[5]["line"], rows[5]["message"]) == (6, "candidates[1] must be a string, not a number.")


def test_a_wrong_lines_number_is_that_in_the_file(server: Running) -> None:
    good = b'{"query": "kidney", "candidates": ["renal"]}\n'
    content = good + b"\n\r\n" + good + b"wrong\n\n" + b"also wrong"
    answers = [json.loads(row) for row in server.client.post("/v1/rerank/batch", content=content).text.splitlines()]
    assert [answer.get("line") for answer in answers] == [None, None, 5, 7]


def test_a_line_keeps_its_id_even_if_it_is_0(server: Running) -> None:
    ids = [0, "a", None, 7]
    answers = batch(server, [{"query": "kidney", "documents": ["renal"], "id": each} for each in ids])
    assert [answer["id"] for answer in answers[:2] + answers[3:]] == ["0", "a", "7"]
    assert answers[2]["id"].endswith("-3")


def test_a_connection_can_be_used_again_after_a_batch(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(30):
        assert len(batch(server, [{"query": "kidney", "candidates": ["a", "b"]}])) == 1
        assert server.client.post("/rerank", json=requests(1, 1)[0]).status_code == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_batch_answers_while_the_client_still_sends(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/rerank/batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(LINE)
        )
        received = b""
        while b'"results"' not in received:
            received += connection.recv(65536)
        connection.sendall(chunk(LINE) + b"0\r\n\r\n")
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(65536)
        assert received.count(b'"results"') == 2


LINE = json.dumps({"query": "kidney", "candidates": WORDS * 20}).encode() + b"\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_a_batch_may_be_sent_whole_before_an_answer_is_read(server: Running) -> None:
    """As most clients do: the answers, more than the system's buffers take, wait on disk."""
    line = json.dumps({"query": "kidney", "candidates": [], "note": "x" * 50_000}).encode() + b"\n"
    lines = 400  # 20 MB
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        head = f"POST /v1/rerank/batch HTTP/1.1\r\nhost: x\r\ncontent-length: {len(line) * lines}\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(lines):
            connection.sendall(line)
        received = 0
        tail = b""
        while not tail.endswith(b"0\r\n\r\n"):
            part = connection.recv(1 << 20)
            received, tail = received + len(part), (tail + part)[-5:]
        assert received > 0.99 * len(line) * lines


def test_a_batch_whose_client_leaves_is_not_scored_further() -> None:
    watched = Watched(seconds=0.02)
    with serving(watched) as server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        data = chunk(LINE * 20) * 10
        connection.sendall(b"POST /v1/rerank/batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + data)
        connection.recv(100)
        connection.close()
        while server.service.admission.streams:
            time.sleep(0.01)
        assert server.service.admission.pairs == 0
        assert sum(map(sum, watched.calls)) < 200 * 300


def raw(server: Running, data: bytes, *, close: bool = False) -> bytes:
    """Send bytes as they are; what comes back until the server closes or says nothing for a while."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=3) as connection:
        connection.sendall(data)
        if close:
            return b""
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except TimeoutError:
            pass
        return received


def test_broken_connections_and_bodies_leave_the_server_as_it_was(server: Running) -> None:
    head = b"POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
    assert b"408" in raw(server, head + b'{"query"').split(b"\r\n")[0]  # stops in the middle
    raw(server, head + b'{"query"', close=True)
    assert b"400" in raw(server, b"NONSENSE\r\n\r\n").split(b"\r\n")[0]
    raw(server, b"POST /rerank HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", close=True)
    big = b"x" * 10_000_000
    assert server.client.post("/rerank", content=big).status_code == 413
    null = {"query": "kidney\0stones", "documents": ["a\0b", "\0"]}
    assert server.client.post("/rerank", json=null).status_code == 200
    utf16 = json.dumps({"query": "kidney", "documents": ["é"]}, ensure_ascii=False)
    assert server.client.post("/rerank", content=utf16.encode("latin-1")).status_code == 400
    for _ in range(50):
        raw(server, b"", close=True)
    assert server.service.admission.requests == 0
    assert server.client.post("/rerank", json=requests(1, 3)[0]).status_code == 200


def test_when_the_models_folder_vanishes_a_loaded_model_goes_on(tmp_path: Path) -> None:
    import shutil

    shutil.copytree("models/default", tmp_path / "bundle")
    with serving(models(f"m={tmp_path / 'bundle'}")) as server:
        shutil.rmtree(tmp_path / "bundle")
        assert server.client.post("/rerank", json=requests(1, 50)[0]).status_code == 200


def test_a_small_request_is_let_in_where_a_large_one_would_wait_too_long() -> None:
    """Half of what the large one takes at the measured rate is too long; meanwhile nothing is scored or measured."""
    watched = Watched()
    first, second = requests(2, 3000)
    (small,) = requests(1, 5)
    with serving(watched) as server, ThreadPoolExecutor(2) as pool:
        (model,), admission = server.service.models, server.service.admission
        while not model.queue.rate:  # measured just after the server is ready
            time.sleep(0.005)
        watched.open.clear()
        large = pool.submit(server.client.post, "/rerank", json=first)
        while not admission.requests:
            time.sleep(0.005)
        admission.limits = replace(admission.limits, wait_seconds=admission.tokens / model.queue.rate / 2)
        refused = server.client.post("/rerank", json=second)
        assert (refused.status_code, 1 <= int(refused.headers["retry-after"]) <= 60) == (429, True)
        let_in = pool.submit(server.client.post, "/rerank", json=small)
        while admission.requests < 2 and not let_in.done():
            time.sleep(0.005)
        watched.open.set()
        assert (let_in.result().status_code, large.result().status_code) == (200, 200)


def test_an_answer_does_not_wait_for_the_clients_acknowledgement(server: Running) -> None:
    """Head and body of an answer are two packets; Nagle's algorithm would hold the second one back for 40 ms."""
    server.client.post("/rerank", json=requests(1, 1)[0])
    connections = [each.transport.get_extra_info("socket") for each in server.server.server_state.connections]
    assert connections
    assert all(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in connections)


def test_bm25_scores_of_a_long_list_are_those_of_the_whole_list() -> None:
    chance = random.Random(3)
    documents = [" ".join(chance.choices(WORDS, k=8)) for _ in range(700)]
    expected = [pair.score for pair in BM25Reranker().score_pairs(["kidney stone"], [documents])[0]]
    with serving(models("bm25")) as running:
        for _ in range(2):
            answer = running.client.post(
                "/rerank", json={"query": "kidney stone", "documents": documents, "raw_scores": True}
            )
            np.testing.assert_allclose(scores_of(answer.json()["results"]), expected, rtol=1e-12)


def test_lines_of_a_stream_that_wait_for_each_other_are_not_late() -> None:
    """Thirty lines take two seconds, each of them far less than the one second that a request has."""
    watched = Watched(seconds=0.07)
    lines = [{"query": body["query"], "candidates": body["documents"]} for body in requests(30, 20)]
    with serving(watched, Settings(Limits(answer_seconds=1.0))) as running:
        assert all("results" in answer for answer in batch(running, lines))


def test_a_streams_lines_are_one_turn_taker_to_those_who_come() -> None:
    limits = Limits(wait_seconds=5.0, queued_pairs=2000, queued_tokens=50_000)
    asked = Group("stone", ["kidney"])
    admission, lane = Admission(limits, "ready"), Lane()
    with ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(admission.counted([Group("stone", ["kidney"] * 200)], "slow", lane))
        with admission.request([asked], "slow", 400.0):  # it waits for one slice of the stream, not for 64
            pass
        with admission.request([asked], "other", 1.0):  # what waits for another model keeps nobody waiting
            pass
        with pytest.raises(ApiError), admission.request([Group("stone", ["kidney"] * 1000)], "slow", 400.0):
            pass


def test_what_is_left_when_draining_ends_is_answered_503() -> None:
    watched = Watched(seconds=0.5)
    with serving(watched) as running:
        answers: list[Any] = []
        (large,) = requests(1, 2000)
        asking = threading.Thread(target=lambda: answers.append(running.client.post("/rerank", json=large)))
        asking.start()
        while not running.service.admission.requests:
            time.sleep(0.01)
        running.server._drain_seconds = 0.2
        running.server.drain()
        asking.join()
    assert answers[0].status_code == 503
    assert "shutting down" in answers[0].json()["error"] and int(answers[0].headers["retry-after"]) > 0


def test_a_connection_whose_next_request_does_not_begin_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aatm_onnx.serve.server._SILENT_SECONDS", 0.3)
    with serving() as running, socket.create_connection(("127.0.0.1", running.port), 10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /health HTTP/1.1\r\nhost")
        began = time.monotonic()
        while connection.recv(65_536):
            pass
        assert time.monotonic() - began < 3


def test_every_line_of_a_stream_is_answered_by_the_model_that_it_names() -> None:
    candidates = WORDS * 25  # many slices, so that lines of the other model come while some wait
    lines = [{"query": "kidney", "candidates": candidates, "model": ("m", "words")[row % 2]} for row in range(10)]
    with serving(models("m=default", "words=bm25")) as running:
        answers = batch(running, lines)
        alone = [batch(running, [line])[0] for line in lines[:2]]
    best = [answer["results"][0]["rerank_score"] for answer in (*answers, *alone)]
    assert best[:10] == [pytest.approx(best[10 + row % 2], abs=1e-5) for row in range(10)]


def test_a_long_query_or_instruction_counts_as_often_as_it_is_read() -> None:
    documents, long = ["kidney stone"] * 2000, "kidney " * 4000
    admission = Admission(Limits(wait_seconds=5.0, characters=100_000), "ready")
    for group in (Group(long, documents), Group("kidney", documents, long)):
        with (
            admission.request([group], "m", 10_000.0),
            pytest.raises(ApiError, match="would for"),
            admission.request([group], "m", 10_000.0),
        ):
            pass
    with pytest.raises(ApiError, match="characters"), admission.request([Group("a", ["b"], long * 4)], "m", 0.0):
        pass


@pytest.mark.parametrize("text", ["kidney " * 4000, "腎結石" * 3000])
def test_a_long_text_counts_for_more_than_as_many_short_ones(text: str) -> None:
    """Each of its tokens attends to all before it."""
    parts = [text[start : start + 70] for start in range(0, len(text), 70)]
    admission = Admission(Limits(wait_seconds=2.0), "ready")
    with admission.request([Group("kidney", parts)], "m", 10_000.0), admission.request([Group("a", ["b"])], "m", 1e4):
        pass
    for long in (Group(text, ["kidney"]), Group("kidney", [text])):
        with (
            admission.request([long], "m", 10_000.0),
            pytest.raises(ApiError, match="would for"),
            admission.request([Group("kidney", [text])], "m", 10_000.0),
        ):
            pass
    assert Group("kidney", [text * 100]).cost < 5 * Group("kidney", [text]).cost  # what is cut costs nothing


def test_who_still_sends_when_draining_ends_is_answered_503(caplog: pytest.LogCaptureFixture) -> None:
    with serving(models("bm25")) as running, socket.create_connection(("127.0.0.1", running.port), 10) as connection:
        connection.sendall(b"POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
        time.sleep(0.1)
        running.server.config.timeout_graceful_shutdown = 1
        running.server._drain_seconds = 0.0
        running.server.drain()
        received = b""
        while part := connection.recv(65_536):
            received += part
    assert received.startswith(b"HTTP/1.1 503")
    assert b"shutting down" in received
    assert "ASGI" not in caplog.text
