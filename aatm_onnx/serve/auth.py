"""API keys: from a file or the environment, compared in constant time."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..csv_rows import naming_other_encodings
from .answers import JsonAnswer
from .errors import error_body

KEYS_VARIABLE = "AATM_ONNX_API_KEYS"
# What a load balancer or a browser must reach without a key. Everything else needs one, also routes added later.
_OPEN = {"/", "/health", "/ready", "/docs", "/openapi.json", "/favicon.ico"}


def read_keys(file: Path | None, variable: str | None) -> tuple[str, ...]:
    """All keys: one a line in the file, separated by commas in the variable's value.

    Raises:
        ValueError: a file was named and has no key or is not UTF-8, or a key could not be sent in a header.
    """
    keys: list[str] = []
    if file:
        with naming_other_encodings(str(file)):
            lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise ValueError(f"{file} has no key; write one a line.")
    in_file = len(keys)
    keys += [key.strip() for key in (variable or "").split(",") if key.strip()]
    for number, key in enumerate(keys):
        if not key.isascii() or not key.isprintable() or " " in key:
            where = file if number < in_file else f"${KEYS_VARIABLE}"
            raise ValueError(f"A key in {where} is not printable ASCII without spaces, so no header can hold it.")
    return tuple(keys)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_SCHEME = re.compile(r"bearer\s+", re.IGNORECASE)  # llama-index's TEI client sends the bare key


class RequireKey:
    """Refuses requests without one of the keys."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        """Wrap an app."""
        self._app = app
        self._digests = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer 401."""
        if scope["type"] != "http" or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        body = error_body("This server needs an API key: send `Authorization: Bearer KEY`.", "Unauthorized")
        await JsonAnswer(body, 401, {"www-authenticate": "Bearer"})(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        open_to_all = scope["path"] in _OPEN or scope["path"].startswith("/page/")
        if open_to_all and scope["method"] in ("GET", "HEAD"):
            return True
        headers = Headers(scope=scope)
        given = [headers.get(name, "") for name in ("authorization", "x-api-key")]  # a proxy may take the first
        digests = [_digest(_SCHEME.sub("", each.strip())) for each in given]
        matches = [hmac.compare_digest(digest, known) for digest in digests for known in self._digests]  # all of them
        return any(matches)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
