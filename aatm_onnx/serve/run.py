"""Run a server until it is told to end."""

import logging
from collections.abc import Sequence
from pathlib import Path

from starlette.routing import BaseRoute

from .app import create_app
from .models import Loader
from .server import Server, listen, make_server
from .service import Service
from .settings import Settings

logger = logging.getLogger("aatm_onnx.serve")


def run(
    load: Loader,
    settings: Settings,
    *,
    host: str,
    port: int,
    certificate: Path | None = None,
    private_key: Path | None = None,
    drain_seconds: float = 30.0,
    routes: Sequence[BaseRoute] = (),
) -> None:
    """Serve until a signal ends it.

    Args:
        load: loads the models.
        settings: limits, keys, origins.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        certificate: PEM file with the certificate chain, for TLS.
        private_key: PEM file with its key.
        drain_seconds: the longest time that admitted requests have once the server is told to end.
        routes: further routes, as in `create_app`.

    Raises:
        OSError: the address can't be listened on.
        Exception: what `load` raised.
    """
    service = Service(settings)
    server: Server | None = None

    def failed(error: Exception) -> None:
        assert server is not None  # models are loaded once it runs
        server.fail(error)

    app = create_app(load, settings, service=service, routes=routes, failed=failed)
    server = make_server(
        app,
        service,
        host=host,
        port=port,
        certificate=certificate,
        private_key=private_key,
        drain_seconds=drain_seconds,
    )
    listening = listen(host, port)
    scheme = "https" if certificate else "http"
    shown = f"[{host}]" if ":" in host else host
    logger.info("Listening on %s://%s:%d.", scheme, shown, listening.getsockname()[1])
    server.run(sockets=[listening])
    if server.failure is not None:
        raise server.failure
    logger.info("Ended.")
