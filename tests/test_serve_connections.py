"""What a server does with a connection's bytes, whatever requests say."""

import json
import random
import re
import socket
import time
from collections.abc import Iterator

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
