"""The ASGI app: routes, layers, and models that are loaded while it already answers."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from .auth import RequireKey
from .errors import ApiError, ClientGone
from .front import Door, Front, Refusals
from .handlers import Handlers
from .models import Loader
from .pages import SEARCH, Pages
from .service import Service
from .settings import Settings

logger = logging.getLogger("aatm_onnx.serve")

_HANDLED = (ApiError, ValueError, RuntimeError, TimeoutError, MemoryError, OSError, ImportError)


def create_app(
    load: Loader,
    settings: Settings | None = None,
    *,
    service: Service | None = None,
    routes: Sequence[BaseRoute] = (),
    failed: Callable[[Exception], None] | None = None,
) -> ASGIApp:
    """Make the server's app.

    Args:
        load: loads the models, in a thread; until it returns, requests are answered with 503.
        settings: limits, keys, origins.
        service: the state to use, for a caller that watches it; None makes one.
        routes: further routes. Their handlers may raise `ApiError`; the service is at `request.app.state.service`.
        failed: called with what `load` raised. By default the error is logged and the server stays at 503.

    Example:
        >>> from aatm_onnx.serve.models import Wanted, loader
        >>> app = create_app(loader([Wanted("default", "default")], None, {}))
    """
    service = service or Service(settings or Settings())
    refusals = Refusals(service.metrics)
    handlers = Handlers(service)
    scoring = handlers.scoring_routes()
    pages = Pages(search=any(isinstance(each, Route) and each.path == SEARCH for each in routes))
    app = Starlette(
        routes=[*routes, *pages.routes(), *scoring, *handlers.other_routes()],
        lifespan=_lifespan(service, load, failed),
        exception_handlers={
            HTTPException: refusals.http,
            ClientGone: refusals.gone,
            **dict.fromkeys((*_HANDLED, Exception), refusals.any),
        },
    )
    app.state.service = service
    return _layers(Door(app, scoring, service, refusals), service)


def _layers(app: ASGIApp, service: Service) -> ASGIApp:
    settings = service.settings
    if settings.api_keys:
        app = RequireKey(app, settings.api_keys)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # clients send their own: cohere's has x-fern-language and others
            expose_headers=["x-request-id", "x-warning", "retry-after"],
        )
    return Front(app, service.metrics)


def _lifespan(
    service: Service, load: Loader, failed: Callable[[Exception], None] | None
) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
    async def load_models() -> None:
        try:
            await asyncio.to_thread(load, service.models, service.metrics)
        except Exception as error:
            if failed is None:
                logger.exception("The models can't be loaded.")
            else:
                failed(error)
        else:
            if service.admission.state == "loading":
                service.admission.state = "ready"

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loading = asyncio.create_task(load_models())
        yield
        loading.cancel()
        service.models.close()

    return lifespan
