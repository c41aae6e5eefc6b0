"""Errors as every client can read them: one body that holds what each of their parsers looks for."""

from collections.abc import Mapping
from typing import Any

from ..errors import BundleError, ProviderError, ScoreError, TooLongError


class ApiError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: the HTTP status.
        message: one sentence.
        kind: the error type, in TEI's words.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> None:
        """Take what the answer says."""
        super().__init__(message)
        self.status, self.message, self.kind, self.headers = status, message, kind, dict(headers or {})


class ClientGone(Exception):
    """The client closed the connection; nobody reads an answer."""


def error_body(message: str, kind: str) -> dict[str, Any]:
    """Cohere's clients read `message`; Jina's, Voyage's and vLLM's `detail`; TEI's `error` and `error_type`."""
    return {"error": message, "error_type": kind, "message": message, "detail": message}


def bad_request(message: str) -> ApiError:
    """400: the body can't be read, or asks for nothing."""
    return ApiError(400, message, "Validation")


def invalid(message: str) -> ApiError:
    """422: a field has a wrong type or value."""
    return ApiError(422, message, "Validation")


def too_large(message: str) -> ApiError:
    """413: the request is larger than this server takes."""
    return ApiError(413, message, "Validation")


def overloaded(message: str, retry_after: int) -> ApiError:
    """429: come back in `retry_after` seconds."""
    return ApiError(429, message, "Overloaded", {"retry-after": str(retry_after)})


def unavailable(message: str) -> ApiError:
    """503: the server is loading or draining."""
    return ApiError(503, message, "Unhealthy", {"retry-after": "5"})


def shutting_down() -> ApiError:
    """503, from the first signal on."""
    return unavailable("The server is shutting down; try another one.")


def as_api_error(error: Exception) -> ApiError:
    """The answer that an error of the library deserves."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, TooLongError):
        return ApiError(422, str(error), "Tokenizer")
    if isinstance(error, TimeoutError):
        return ApiError(504, "The answer took longer than this server allows; send fewer documents.", "Backend")
    if isinstance(error, BundleError | ProviderError | ScoreError):
        return ApiError(500, str(error), "Backend")
    if isinstance(error, ValueError):
        return invalid(str(error))
    if isinstance(error, MemoryError):
        return ApiError(500, "The server ran out of memory; send fewer or shorter documents.", "Backend")
    return ApiError(500, "The server failed; its log says why.", "Backend")
