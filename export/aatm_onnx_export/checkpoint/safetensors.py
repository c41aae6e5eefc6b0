"""The safetensors files of a checkpoint, read by their headers alone: no weights, no torch.

A safetensors file is the header's length (8 bytes, little-endian), the header (JSON: name -> dtype, shape,
data_offsets) and the tensors' bytes (https://huggingface.co/docs/safetensors, section "Format").
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aatm_onnx.errors import ExportError

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class Tensor:
    """Where one tensor's bytes are.

    Attributes:
        file: the safetensors file.
        dtype: as safetensors names it, "F32" or "BF16".
        shape: its shape.
        start: where its bytes start, counted from the file's start.
        size: how many bytes it has.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Find every tensor of a checkpoint, from one `model.safetensors` or from the shards that its index names.

    Raises:
        ExportError: there are no safetensors weights, or a shard is missing, truncated, or lacks a tensor of the index.
    """
    if (folder / WEIGHTS_FILE).is_file():  # as for transformers, it counts even where an index is beside it
        return _read_header(folder / WEIGHTS_FILE)
    if not (folder / INDEX_FILE).is_file():
        raise ExportError(f"{folder} has no weights: neither {WEIGHTS_FILE} nor {INDEX_FILE} is there.")
    weight_map = _read_index(folder / INDEX_FILE)
    shards = sorted(set(weight_map.values()))
    for shard in shards:
        if not (folder / shard).is_file():
            raise ExportError(f"{folder / shard} is missing, and {INDEX_FILE} names it; download the checkpoint again.")
    tensors = {name: tensor for shard in shards for name, tensor in _read_header(folder / shard).items()}
    for name, shard in weight_map.items():
        if name not in tensors:
            raise ExportError(f"{folder / shard} lacks {name}, which {INDEX_FILE} places there; download it again.")
    return tensors


def _read_index(file: Path) -> dict[str, str]:
    try:
        weight_map = json.loads(file.read_text("utf-8"))["weight_map"]
        return {str(name): str(shard) for name, shard in weight_map.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f"{file} is not a safetensors index ({error}); download the checkpoint again.") from error


def _read_header(file: Path) -> dict[str, Tensor]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 + length or length == 0:
            raise ExportError(f"{file} is truncated: its header is incomplete; download it again.")
        try:
            header: dict[str, Any] = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            tensors = {
                name: Tensor(
                    file=file,
                    dtype=entry["dtype"],
                    shape=tuple(entry["shape"]),
                    start=8 + length + entry["data_offsets"][0],
                    size=entry["data_offsets"][1] - entry["data_offsets"][0],
                )
                for name, entry in header.items()
            }
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise ExportError(f"{file} is not a safetensors file ({error}); download it again.") from error
    expected = max((tensor.start + tensor.size for tensor in tensors.values()), default=8 + length)
    if size < expected:
        raise ExportError(f"{file} is truncated: {size} bytes where its header needs {expected}; download it again.")
    for name, tensor in tensors.items():
        itemsize = _ITEM_BYTES.get(tensor.dtype)  # other types are refused by those who read them
        if itemsize and tensor.size != itemsize * math.prod(tensor.shape):
            raise ExportError(f"{file} is damaged: {name} has {tensor.size} bytes for its shape; download it again.")
    return tensors
