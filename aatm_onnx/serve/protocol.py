"""HTTP/1.1 as uvicorn reads it with httptools, and requests that offer another protocol besides.

Java's HTTP client offers HTTP/2 with every request. A server may ignore that (RFC 9110, 7.8), but httptools takes what
follows the headers for the other protocol, so the request's body was lost.
"""

import sys

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Protocol(HttpToolsProtocol):
    """Reads the headers of a request that offers another protocol once more, without the offer."""

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._received = data
        super().data_received(data)

    def _should_upgrade(self) -> bool:
        return bool(self.parser.get_method() != b"CONNECT")  # which offers nothing

    def handle_websocket_upgrade(self) -> None:
        """What uvicorn calls at the end of such headers, while it handles the parser's HttpParserUpgrade."""
        offer = sys.exception()
        assert isinstance(offer, httptools.HttpParserUpgrade)
        (end_of_headers,) = offer.args
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + self._received[end_of_headers:])
