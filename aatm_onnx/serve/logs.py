"""Logs as JSON lines: one for each request, with its id and its trace; never a text that was sent."""

import json
import logging
import random
import re
import sys
from datetime import UTC, datetime

_PLAIN_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")  # W3C Trace Context, level 1


class JsonLines(logging.Formatter):
    """One JSON object a line; `extra={"fields": {...}}` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_as_json(level: str = "info") -> None:
    """Send this package's and uvicorn's logs to stderr as JSON lines."""
    # What no line says is not looked up: https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, least in (("aatm_onnx.serve", level), ("uvicorn.error", "warning"), ("py.warnings", "warning")):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least.upper())


def request_id(given: str | None) -> str:
    """The client's `x-request-id` if it is short and plain, else a new one.

    Not a UUID's: the system call for its random bits lets other threads have the interpreter, a fifth of a full loop.
    """
    return given if given and _PLAIN_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


def trace_of(traceparent: str | None) -> dict[str, str]:
    """Trace and span of a `traceparent` header; nothing if it is not one."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return {"trace_id": found[1], "span_id": found[2]} if found else {}
