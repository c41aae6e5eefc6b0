"""Which data files an ONNX graph refers to, read from the graph's own bytes, without the onnx package.

A graph is a protobuf message (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Only the fields that lead to
tensors are followed; the bytes of weights that are inside the graph are skipped.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Field numbers of onnx.proto that lead to another message, by message.
_INNER = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},  # external_data: names and values
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_NESTED = 32


class ExternalData(NamedTuple):
    """Where the graph says that one of its tensors lies."""

    location: str
    offset: int
    length: int


def external_data(graph: Path) -> Iterator[ExternalData]:
    """Yield where each tensor outside the graph's own file lies.

    Raises:
        OSError: the file can't be read.
        ValueError: it is not an ONNX graph.
    """
    with graph.open("rb") as stream:
        if not graph.stat().st_size:
            raise ValueError("it is empty")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _tensors(data, "Model", 0, len(data), 0)


def _tensors(data: mmap.mmap, kind: str, start: int, end: int, depth: int) -> Iterator[ExternalData]:
    if depth > _MOST_NESTED:
        raise ValueError(f"its messages are nested more than {_MOST_NESTED} deep")
    entries = {}
    for field, first, stop in _fields(data, start, end):
        inner = _INNER[kind].get(field)
        if inner == "Entry":
            name, value = _entry(data, first, stop)
            entries[name] = value
        elif inner is not None:
            yield from _tensors(data, inner, first, stop, depth + 1)
    if entries:
        yield ExternalData(
            entries.get("location", ""), _count(entries.get("offset", "0")), _count(entries.get("length", "0"))
        )


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number and the bytes of every field of a message that has bytes."""
    while start < end:
        key, start = _varint(data, start, end)
        kind = key & 7
        if kind == _VARINT:
            _, start = _varint(data, start, end)
        elif kind in (_FIXED64, _FIXED32):
            start += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            length, start = _varint(data, start, end)
            if start + length > end:
                raise ValueError("it is cut off")
            yield key >> 3, start, start + length
            start += length
        else:
            raise ValueError(f"it has a field of an unknown kind at byte {start}")
    if start > end:
        raise ValueError("it is cut off")


def _varint(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(start, min(start + 10, end)):
        byte = data[place]
        value |= (byte & 127) << 7 * (place - start)
        if byte < 128:
            return value, place + 1
    raise ValueError(f"it has a broken number at byte {start}")


def _entry(data: mmap.mmap, start: int, end: int) -> tuple[str, str]:
    texts = {field: data[first:stop].decode("utf-8") for field, first, stop in _fields(data, start, end)}
    return texts.get(1, ""), texts.get(2, "")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"a tensor's place is {text[:20]!r}, which is not a number of bytes")
    return int(text)
