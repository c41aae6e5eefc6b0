"""Keeping the exporters' chatter from the user's terminal."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

_CHATTY = ("torch.onnx", "torch", "transformers", "optimum", "onnxscript")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, prints, progress bars and logs below "error" of torch, transformers and optimum."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
