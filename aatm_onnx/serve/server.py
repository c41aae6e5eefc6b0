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

from .service import Service

_SILENT_SECONDS = 30.0  # how long a connection may stay open without a whole request's head, or an answer be unread
_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none


class Server(uvicorn.Server):
    """Uvicorn, which on the first signal finishes what was admitted and on a second ends at once.

    A terminal that closes may send SIGHUP twice, so that never is the second.

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
        self._stopped: dict[Any, tuple[int, float]] = {}  # connections: where, and since when

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
        handled = [signal.SIGINT, signal.SIGTERM]
        if _HANGUP is not None and signal.getsignal(_HANGUP) is not signal.SIG_IGN:  # nohup's stays ignored
            handled.append(_HANGUP)
        before = {number: signal.signal(number, self._on_signal) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._drain_until is None:
            self.drain()
        elif number != _HANGUP:
            sys.stderr.flush()
            os._exit(128 + number)  # threads that compute would be waited for otherwise

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        self._close_silent_connections()
        if self._drain_until is not None:
            admission = self._service.admission
            if time.monotonic() > self._drain_until:
                self._service.give_up()
                self.should_exit = True  # uvicorn waits until they have read this
            elif not (admission.requests or admission.streams):
                self.should_exit = True
        return await super().on_tick(counter)

    def _close_silent_connections(self) -> None:
        """Uvicorn limits the time between requests, but neither a head's nor that of reading an answer."""
        now = time.monotonic()
        stopped = {each: at for each in self.server_state.connections if (at := _stopped_at(each)) is not None}
        before = self._stopped
        self._stopped = {
            each: before[each] if each in before and before[each][0] == at else (at, now)
            for each, at in stopped.items()
        }
        for connection, (_, since) in self._stopped.items():
            if now - since > _SILENT_SECONDS:
                connection.transport.abort()  # `close` would wait until all is sent


def _stopped_at(connection: Any) -> int | None:
    """Where a connection must not stay: at how many unread bytes of a whole answer, or at -1, where it owes a head.

    None elsewhere. An answer in chunks is a stream's, whose client may take its time over every line.
    """
    cycle = getattr(connection, "cycle", None)
    if cycle is None:
        return -1  # its first request has not begun
    if not cycle.response_complete:
        return None
    if getattr(cycle, "chunked_encoding", None) is False and (unread := connection.transport.get_write_buffer_size()):
        return int(unread)
    return -1 if connection.timeout_keep_alive_task is None else None  # another request has begun


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
        timeout_graceful_shutdown=5,  # after draining, for clients to read their 503
    )
    _load(config)
    server = Server(config, service, drain_seconds)
    service.connections = lambda: len(server.server_state.connections)
    return server


def _load(config: uvicorn.Config) -> None:
    """Load what a configuration names, and say which files are wrong where TLS can't use them."""
    try:
        config.load()
    except OSError as error:  # ssl's are some, and that of a pass phrase for which nobody can be asked
        reason = (isinstance(error, ssl.SSLError) and error.reason) or error.strerror or error
        raise ValueError(
            f"TLS can't use the certificate {config.ssl_certfile} with the key {config.ssl_keyfile} ({reason});"
            " give PEM files that belong together, the key without a pass phrase."
        ) from None


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
