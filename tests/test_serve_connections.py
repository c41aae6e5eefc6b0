"""What a server does with a connection's bytes, whatever requests say."""

import json
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from .serving import Running, models, serving

ASK = json.dumps({"query": "kidney stones", "documents": ["Gallstones", "Nephrolithiasis"]}).encode()
OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"  # Java's


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(models("bm25")) as running:
        yield running


def post(headers: bytes, body: bytes = ASK) -> bytes:
    return b"POST /rerank HTTP/1.1\r\nhost: x\r\n%s\r\n%s" % (headers, body)


def statuses(connection: socket.socket, count: int) -> list[int]:
    """The next answers' statuses; fewer if the server closes the connection."""
    received, found = b"", list[int]()
    while len(found) < count and (part := connection.recv(65_536)):
        received += part
        found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", received)]
    return found


def test_an_offer_of_another_protocol_changes_nothing(server: Running) -> None:
    length, chunk = b"content-length: %d\r\n" % len(ASK), b"%x\r\n%s\r\n0\r\n\r\n" % (len(ASK), ASK)
    offering = (
        post(OFFER + length),
        post(OFFER + b"transfer-encoding: chunked\r\n", chunk),
        b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    )
    chance = random.Random(3)
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in offering * 8:
            middle = chance.randrange(len(request))
            connection.sendall(request[:middle])
            time.sleep(0.01)
            connection.sendall(request[middle:])
            assert statuses(connection, 1) == [200]
        connection.sendall(post(length) + b"".join(offering) + post(length))
        assert statuses(connection, 5) == [200] * 5


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


def test_a_stream_that_stays_open_past_draining_is_ended_in_order(caplog: pytest.LogCaptureFixture) -> None:
    line = b'{"query": "kidney", "candidates": ["renal"]}\n'
    batch = b"POST /v1/rerank/batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    with serving(models("bm25")) as running, ExitStack() as stack:
        address = ("127.0.0.1", running.port)
        silent, busy, partly = (stack.enter_context(socket.create_connection(address, 10)) for _ in range(3))
        for connection in (silent, busy):
            connection.sendall(batch + b"%x\r\n%s\r\n" % (len(line), line))
            received = b""
            while b"results" not in received:
                received += connection.recv(65_536)
        partly.sendall(post(b"content-length: 1000\r\n", b"{"))
        running.server._drain_seconds = 0.0
        running.server.drain()
        with suppress(OSError):
            while True:
                busy.sendall(b"%x\r\n%s\r\n" % (len(line), line))
                time.sleep(0.1)
        assert all_of(partly).startswith(b"HTTP/1.1 503")
        for connection in (silent, busy):
            answer = all_of(connection)
            assert answer.endswith(b"0\r\n\r\n")  # the last chunk: the answer is whole
            last = json.loads(answer.split(b"\r\n")[-4])
            assert (last["status"], last["error_type"]) == (503, "Unhealthy")
    assert "ASGI" not in caplog.text
    assert "failed" not in caplog.text


def test_a_connection_whose_client_does_not_read_its_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aatm_onnx.serve.server._SILENT_SECONDS", 2.0)
    document = {"text": "kidney", "note": "x" * 7_000_000}
    body = json.dumps({"query": "stone", "documents": [document], "return_documents": True}).encode()
    with serving(models("bm25")) as running, ExitStack() as stack:
        slow, silent = (stack.enter_context(socket.socket()) for _ in range(2))
        for connection in (slow, silent):
            connection.settimeout(20)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            connection.connect(("127.0.0.1", running.port))
            connection.sendall(post(b"content-length: %d\r\n" % len(body), body))
        received = 0
        for _ in range(30):  # longer than a client may read nothing, but it reads
            time.sleep(0.1)
            received += len(slow.recv(200_000, socket.MSG_WAITALL))
        while part := slow.recv(65_536):  # until the connection has been idle for uvicorn's 5 s
            received += len(part)
        assert received > 7_000_000
        until = time.monotonic() + 10
        connections = running.server.server_state.connections
        while silent.getsockname() in [getattr(each, "client", None) for each in connections]:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_connections_too_many_are_refused_and_who_watches_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aatm_onnx.serve.service._MOST_CONNECTIONS", 5)
    with serving(models("bm25")) as running, ExitStack() as stack:
        before = len(running.server.server_state.connections)
        for _ in range(5):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), 10))
        while len(running.server.server_state.connections) < before + 5:  # the system is first to accept
            time.sleep(0.01)
        for path in ("/rerank", "/v1/rerank/batch"):
            refused = running.client.post(path, content=ASK)
            assert (refused.status_code, refused.json()["error_type"]) == (429, "Overloaded")
            assert (refused.headers["retry-after"], refused.headers["connection"]) == ("5", "close")
        assert [running.client.get(path).status_code for path in ("/health", "/ready", "/metrics")] == [200] * 3
        assert 'aatm_rejected_total{reason="full"} 2.0' in running.client.get("/metrics").text
        stack.close()
        while len(running.server.server_state.connections) > 1:
            time.sleep(0.01)
        assert running.client.post("/rerank", content=ASK).status_code == 200
