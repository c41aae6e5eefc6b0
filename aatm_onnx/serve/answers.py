"""Bodies in and out: JSON answers, and request bodies that are counted while they are read."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from .errors import ApiError, ClientGone, shutting_down, too_large
from .settings import Limits

# A client that sends too much reads its answer only after it has sent all. So much is taken in, and thrown away.
_DISCARDED_BYTES = 64_000_000
_LAST_SECONDS = 2.0  # for what was sent when the server gave up; less than the server then waits for its answers


class JsonAnswer(JSONResponse):
    """JSON in ASCII, which holds whatever the request's own fields held, even half of a surrogate pair."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return to_json(content)


def to_json(content: Any) -> bytes:
    """Content as JSON in ASCII, in one line."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Bodies:
    """Reads requests' bodies, on the event loop, until the server ends."""

    def __init__(self, limits: Limits) -> None:
        """Take the limits of sizes and times."""
        self._limits = limits
        self._until = math.inf  # the loop's time
        self._waiting: set[asyncio.Timeout] = set()

    def give_up(self) -> None:
        """Take what was sent already. Who still sends then is told that the server is shutting down."""
        self._until = asyncio.get_running_loop().time() + _LAST_SECONDS
        for timeout in self._waiting:
            if not timeout.expired():
                timeout.reschedule(min(self._until, timeout.when() or self._until))

    async def parts(self, request: Request) -> AsyncIterator[bytes]:
        """Yield a body as it comes.

        Raises:
            ApiError: 415, it is compressed; 408, the client stopped sending; 503, the server ends.
            ClientGone: it closed the connection.
        """
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise ApiError(415, f"The body is encoded ({encoding}); send it as it is.", "Validation")
        stream, seconds, clock = request.stream(), self._limits.body_seconds, asyncio.get_running_loop().time
        while (now := clock()) < self._until:
            try:
                # wait_for may lose a cancellation, until Python 3.12
                async with asyncio.timeout_at(min(self._until, now + seconds)) as timeout:
                    self._waiting.add(timeout)
                    part = await anext(stream)
            except StopAsyncIteration:
                return
            except ClientDisconnect:
                raise ClientGone from None
            except TimeoutError:
                if clock() < self._until:
                    message = f"The request's body stopped for {seconds:g} s."
                    raise ApiError(408, message, "Validation", {"connection": "close"}) from None
                break
            finally:
                self._waiting.discard(timeout)
            yield part
        raise shutting_down()

    async def whole(self, request: Request) -> bytes:
        """Read a whole body.

        Raises:
            ApiError: 413, it is too large, or as `parts` raises.
            ClientGone: it closed the connection.
        """
        parts: list[bytes] = []
        size = 0
        async for part in self.parts(request):
            size += len(part)
            if size > _DISCARDED_BYTES:
                break
            if size <= self._limits.body_bytes:
                parts.append(part)
            else:
                parts.clear()
        if size > self._limits.body_bytes:
            most = self._limits.body_bytes
            raise too_large(f"The body has more than {most} bytes; send the documents in several requests.")
        return b"".join(parts)
