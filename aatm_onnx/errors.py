"""The errors this package raises itself; each message says what was wrong, where, and what to do."""

INSTALL = "pip install 'aatm-onnx[cpu]' (or 'aatm-onnx[gpu]' for CUDA)"


class BundleError(ValueError):
    """A bundle is missing, incomplete, altered, or of a kind this version can't read."""


class ExportError(ValueError):
    """A checkpoint can't become a bundle; nothing was written."""


class ProviderError(RuntimeError):
    """The execution provider that was asked for can't be used on this machine."""


class TooLongError(ValueError):
    """A pair has more tokens than the model takes, and may not be cut."""


class ScoreError(RuntimeError):
    """A model gave a score that is not a finite number, or could not be run."""


class InputTypeError(AssertionError, TypeError):
    """A reranker was called with something that is not retriever results.

    aatm documents an AssertionError here; Python users expect a TypeError. This is both.
    """
