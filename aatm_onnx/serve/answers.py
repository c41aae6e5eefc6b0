"""Bodies in and out: JSON answers, and request bodies that are counted while they are read."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from .errors import ApiError, ClientGone, too_large
from .settings import Limits

# A client that sends too much reads its answer only after it has sent all. So much is taken in, and thrown away.
_DISCARDED_BYTES = 64_000_000


class JsonAnswer(JSONResponse):
    """JSON in ASCII, which holds whatever the request's own fields held, even half of a surrogate pair."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return to_json(content)


def to_json(content: Any) -> bytes:
    """Content as JSON in ASCII, in one line."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def body_parts(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """Yield a body as it comes.

    Raises:
        ApiError: 408, the client stopped sending.
        ClientGone: it closed the connection.
    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(limits.body_seconds):  # wait_for may lose a cancellation, until Python 3.12
                part = await anext(stream)
        except StopAsyncIteration:
            return
        except ClientDisconnect:
            raise ClientGone from None
        except TimeoutError:
            message = f"The request's body stopped for {limits.body_seconds:g} s."
            raise ApiError(408, message, "Validation", {"connection": "close"}) from None
        yield part


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read a whole body.

    Raises:
        ApiError: 413, it is too large; 408, the client stopped sending.
        ClientGone: it closed the connection.
    """
    parts: list[bytes] = []
    size = 0
    async for part in body_parts(request, limits):
        size += len(part)
        if size > _DISCARDED_BYTES:
            break
        if size <= limits.body_bytes:
            parts.append(part)
        else:
            parts.clear()
    if size > limits.body_bytes:
        raise too_large(f"The body has more than {limits.body_bytes} bytes; send the documents in several requests.")
    return b"".join(parts)
