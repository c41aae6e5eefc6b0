"""pyarrow, which Parquet files alone need."""

from typing import Any


def import_pyarrow() -> Any:
    """Import pyarrow and its `parquet`, or say what to install.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(f"Parquet needs pyarrow ({error}): pip install 'aatm-onnx[parquet]'.") from error
    return pyarrow
