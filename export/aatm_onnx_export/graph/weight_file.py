"""The external data of a graph: its large weights, streamed to one file beside it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray

from aatm_onnx.errors import ExportError
from aatm_onnx.runtime.batches import ceil_div

DATA_SUFFIX = ".data"  # the data file is named as the graph, with this appended
_PAGE = 4096  # external tensors start on a page, so that ONNX Runtime can map them

ONNX_TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): onnx.TensorProto.FLOAT,
    np.dtype(np.float64): onnx.TensorProto.DOUBLE,
    np.dtype(np.float16): onnx.TensorProto.FLOAT16,
    np.dtype(np.int64): onnx.TensorProto.INT64,
    np.dtype(np.int8): onnx.TensorProto.INT8,
    np.dtype(np.uint8): onnx.TensorProto.UINT8,
    np.dtype(np.bool_): onnx.TensorProto.BOOL,
}


class WeightFile:
    """The external data of one graph, or of several that differ in few weights: none is written twice."""

    def __init__(self, graph: Path) -> None:
        """Start `graph`.data, beside the graph's own file."""
        file = graph.with_name(graph.name + DATA_SUFFIX)
        file.unlink(missing_ok=True)  # a session may still have an older one mapped into memory
        self._stream = file.open("wb")
        self._written: dict[tuple[str, int, tuple[int, ...]], onnx.TensorProto] = {}

    def tensor(
        self, name: str, dtype: DTypeLike, shape: Sequence[int], row_blocks: Iterable[NDArray[Any]]
    ) -> onnx.TensorProto:
        """Say where a weight lies in the file; its rows are taken only if it is not there yet, in this type and shape.

        Args:
            name: the weight's name.
            dtype: its type in the file.
            shape: its shape.
            row_blocks: its values, some rows of the first axis at a time.
        """
        data_type, dims = ONNX_TYPES[np.dtype(dtype)], tuple(shape)
        if (name, data_type, dims) not in self._written:
            offset, length = self._append(name, np.dtype(dtype), dims, row_blocks)
            tensor = onnx.TensorProto(name=name, data_type=data_type, dims=dims)
            for key, value in (("location", Path(self._stream.name).name), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            tensor.data_location = onnx.TensorProto.EXTERNAL
            self._written[name, data_type, dims] = tensor
        return self._written[name, data_type, dims]

    def _append(
        self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], row_blocks: Iterable[NDArray[Any]]
    ) -> tuple[int, int]:
        """Write rows from the next page on; the offset and the number of bytes."""
        self._stream.seek(offset := ceil_div(self._stream.tell(), _PAGE) * _PAGE)
        for rows in row_blocks:
            self._stream.write(as_type(rows, dtype, name).data)
        length = self._stream.tell() - offset
        expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        assert length == expected, f"{name}: {length} bytes were written where {shape} needs {expected}"
        return offset, length

    def flush(self) -> None:
        """Bring to the disk what was written."""
        self._stream.flush()

    def close(self) -> None:
        """End the file: every graph that uses it is written."""
        self._stream.close()


def as_type(values: NDArray[Any], dtype: DTypeLike, name: str) -> NDArray[Any]:
    """The values of weight `name` in a type that can hold them.

    Raises:
        ExportError: float16 can't.
    """
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(values, dtype)
    if dtype == np.float16 and not np.isfinite(converted).all():
        raise ExportError(f"{name} has weights beyond float16's 65504; export with --precision fp32.")
    return converted
