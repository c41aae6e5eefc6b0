"""One process with one event loop: starts listening, drains when told to end, closes what stays silent."""

import contextlib
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from .errors import shutting_down
from .service import Service

_SILENT_SECONDS = 30.0  # how long a connection may be open without a whole request's head
_MOST_CONNECTIONS = 1000  # further ones are answered 503
_HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """Uvicorn, which on the first signal finishes what was admitted and on the second ends at once.

    Attributes:
        failure: why the models could not be loaded.
    """

    def __init__(self, config: uvicorn.Config, service: Service, drain_seconds: float) -> None:
        """Take the configuration, the state to watch, and how long draining may take."""
        super().__init__(config)
        self.failure: Exception | None = None
        self._service = service
        self._drain_seconds = drain_seconds
        self._drain_until: float | None = None
        self._silent_since: dict[Any, float] = {}

    def fail(self, error: Exception) -> None:
        """End, because there is nothing to answer with."""
        self.failure = error
        self.should_exit = True

    def drain(self) -> None:
        """Refuse new requests with 503, and end when the admitted ones are answered."""
        self._service.admission.state = "draining"
        self._drain_until = time.monotonic() + self._drain_seconds

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; uvicorn's own would close the port before the queue is empty."""
        if threading.current_thread() is not threading.main_thread():  # only that one can
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in _HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._drain_until is not None:
            sys.stderr.flush()
            os._exit(128 + number)  # threads that compute would be waited for otherwise
        self.drain()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        self._close_silent_connections()
        if self._drain_until is not None:
            admission = self._service.admission
            if time.monotonic() > self._drain_until:
                self._service.models.give_up(shutting_down())
                self.should_exit = True  # uvicorn waits until they have read this
            elif not (admission.requests or admission.streams):
                self.should_exit = True
        return await super().on_tick(counter)

    def _close_silent_connections(self) -> None:
        """Uvicorn limits the time between requests, but not how long a request's head may take."""
        now = time.monotonic()
        silent = {each for each in self.server_state.connections if _wants_head(each)}
        self._silent_since = {each: self._silent_since.get(each, now) for each in silent}
        for connection, since in self._silent_since.items():
            if now - since > _SILENT_SECONDS:
                connection.transport.close()


def _wants_head(connection: Any) -> bool:
    """Whether a connection is to send its first request's head, or has begun to send another one's."""
    cycle = getattr(connection, "cycle", None)
    return cycle is None or (cycle.response_complete and connection.timeout_keep_alive_task is None)


def make_server(
    app: ASGIApp,
    service: Service,
    *,
    host: str,
    port: int,
    certificate: Path | None = None,
    private_key: Path | None = None,
    drain_seconds: float = 30.0,
) -> Server:
    """Make a server that is not running yet.

    Args:
        app: what answers.
        service: its state.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        certificate: PEM file with the certificate chain, for TLS.
        private_key: PEM file with its key.
        drain_seconds: the longest time that admitted requests have once the server is told to end.

    Raises:
        ValueError: certificate and key are not PEM files that belong together.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_http(),
        ssl_certfile=certificate,
        ssl_keyfile=private_key,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    try:
        config.load()
    except OSError as error:  # ssl's are some, and that of a pass phrase for which nobody can be asked
        reason = (isinstance(error, ssl.SSLError) and error.reason) or error.strerror or error
        raise ValueError(
            f"TLS can't use the certificate {certificate} with the key {private_key} ({reason});"
            " give PEM files that belong together, the key without a pass phrase."
        ) from None
    return Server(config, service, drain_seconds)


def _http() -> Any:
    """What reads requests; httptools has no wheel for some machines."""
    try:
        from .protocol import Protocol
    except ModuleNotFoundError:
        return "h11"
    return Protocol


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket.

    Raises:
        OSError: the address can't be listened on; the message says which.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # asyncio turns Nagle's algorithm off only where the protocol is named; with it, answers were 40 ms late
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name == "posix":  # elsewhere it would let two servers have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        raise OSError(f"The server can't listen on {host}, port {port} ({error.strerror}); choose another.") from None
    return listening
