"""What happens to every request before and after its handler: id, log line, metrics, safe headers, errors."""

import asyncio
import logging
import time
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import JsonAnswer
from .errors import ApiError, as_api_error, error_body, shutting_down
from .logs import request_id, trace_of
from .metrics import Metrics
from .service import Service

logger = logging.getLogger("aatm_onnx.serve")

_WATCHED = ("/health", "/ready", "/metrics")  # who asks these must be answered when it is full, too
GONE = 499  # nginx's status for a client that closed the connection; only logs and metrics see it


class Front:
    """The outermost layer of the app, in plain ASGI, so that handlers see when a client goes away."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap an app."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["id"] = request_id(headers.get("x-request-id"))
        state["started"] = time.monotonic()
        state["log"] = {"request_id": state["id"], **trace_of(headers.get("traceparent"))}
        status, answering = 500, False

        async def send_and_see(message: Message) -> None:
            nonlocal status, answering
            if message["type"] == "http.response.start":
                status, answering = message["status"], True
                answered = MutableHeaders(scope=message)
                answered["x-request-id"] = state["id"]
                answered["x-content-type-options"] = "nosniff"
                answered.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        except asyncio.CancelledError:  # the server ends, and a caller's own route goes on
            if not answering:
                await _answer(shutting_down())(scope, receive, send_and_see)
        except Exception:
            logger.exception("The request failed.", extra={"fields": {"request_id": state["id"]}})
            raise
        finally:
            self._record(scope, status)

    def _record(self, scope: Scope, status: int) -> None:
        """Count a request that has ended, and log it with what its handler added."""
        state, client = scope["state"], scope.get("client")
        seconds = time.monotonic() - state["started"]
        endpoint = _endpoint(scope)
        self._metrics.requests.labels(endpoint, str(status)).inc()
        self._metrics.seconds.labels(endpoint).observe(seconds)
        if status == GONE:
            self._metrics.cancelled.inc()
        line = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(seconds * 1e3, 1)}
        logger.log(
            logging.DEBUG if endpoint in _WATCHED else logging.INFO,
            "request",
            extra={"fields": {**state["log"], **line, "client": client[0] if client else None}},
        )


class Door:
    """Refuses while there is no room, before a request is routed or its body read: to be full must cost little."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route], service: Service, refusals: "Refusals") -> None:
        """Wrap an app; `routes` are where whole requests are scored."""
        self._app, self._service, self._refusals = app, service, refusals
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] == "http":
            route = self._routes.get(scope["path"]) if scope["method"] == "POST" else None
            try:
                if scope["path"] not in _WATCHED:
                    self._service.check_connections()
                if route is not None:
                    self._service.check_room()
            except ApiError as error:
                if route is not None:
                    scope["route"] = route
                answer = await self._refusals.any(Request(scope), error)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _endpoint(scope: Scope) -> str:
    """The route's path: few values, whatever clients ask for. Starlette before 1.7 doesn't say which one it took."""
    routes = scope["app"].routes if "app" in scope else ()  # unknown where a key was missing
    matching = (route for route in routes if route.matches(scope)[0] is not Match.NONE)
    return getattr(scope.get("route") or next(matching, None), "path", "other")


def _answer(error: ApiError) -> JsonAnswer:
    return JsonAnswer(error_body(error.message, error.kind), error.status, error.headers)


class Refusals:
    """Turns errors of handlers into answers, and counts why requests were refused."""

    def __init__(self, metrics: Metrics) -> None:
        """Take what counts."""
        self._metrics = metrics

    async def http(self, request: Request, error: Exception) -> Response:
        """404, 405 and their like."""
        assert isinstance(error, HTTPException)
        body = error_body(f"{error.detail}: {request.method} {request.url.path}", "NotFound")
        return JsonAnswer(body, error.status_code, error.headers)

    async def gone(self, request: Request, error: Exception) -> Response:
        """Nobody reads this."""
        return Response(status_code=GONE)

    async def any(self, request: Request, error: Exception) -> Response:
        """Every other error."""
        answer = as_api_error(error)
        if answer.status >= 500 and not isinstance(error, ApiError | TimeoutError):
            logger.error("The request failed.", exc_info=error, extra={"fields": {"request_id": request.state.id}})
        if answer.status in (413, 422, 429, 503, 504):
            self._metrics.rejected.labels(_REASONS[answer.status]).inc()
        return _answer(answer)


_REASONS = {413: "too_large", 422: "invalid", 429: "full", 503: "not_ready", 504: "timeout"}
