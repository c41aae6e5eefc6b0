"""A real server on a loopback port, in a thread of this process."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx
from starlette.routing import BaseRoute

from aatm_onnx.serve.app import create_app
from aatm_onnx.serve.models import Loader, Wanted, loader
from aatm_onnx.serve.server import Server, listen, make_server
from aatm_onnx.serve.service import Service
from aatm_onnx.serve.settings import Settings


@dataclass(frozen=True)
class Running:
    """A running server."""

    url: str
    port: int
    service: Service
    server: Server
    client: httpx.Client


def models(*names: str, **options: object) -> Loader:
    """Loads models on the CPU; a name may be NAME=MODEL."""
    wanted = [Wanted(*(name.split("=", 1) if "=" in name else (name, name))) for name in names or ("default",)]
    return loader(wanted, None, {"provider": "cpu", **options})


@contextlib.contextmanager
def serving(
    load: Loader | None = None,
    settings: Settings | None = None,
    *,
    ready: bool = True,
    routes: Sequence[BaseRoute] = (),
) -> Iterator[Running]:
    """Run a server; its client raises for nothing."""
    service = Service(settings or Settings())
    app = create_app(load or models(), service.settings, service=service, routes=routes)
    server = make_server(app, service, host="127.0.0.1", port=0, drain_seconds=20)
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            while ready and client.get("/ready").status_code != 200:
                time.sleep(0.02)
            yield Running(url, port, service, server, client)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()
