"""Keys and values of shared prefixes: one prefix, the file of it in a bundle, and a cache of some."""

import mmap
from dataclasses import dataclass
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError
from ..prompt import TokenIds
from .device import DeviceArray


@dataclass(frozen=True)
class PrefixKV:
    """A prompt's first tokens, run through the model.

    Attributes:
        ids: its tokens, (seq,).
        keys_values: what the tokens after it attend to, (layers, 2, kv_heads, seq, head_dim).
        memory: what `keys_values` lies in, where that is its own.
    """

    ids: TokenIds
    keys_values: NDArray[np.floating[Any]] | DeviceArray
    memory: mmap.mmap | None = None

    def first(self, length: int) -> "PrefixKV":
        """Only the first tokens, which don't depend on later ones."""
        if length == len(self.ids):
            return self  # and stay on the device, if that is where it is
        return PrefixKV(self.ids[:length], np.ascontiguousarray(np.asarray(self.keys_values)[..., :length, :]))

    def followed_by(self, ids: TokenIds, own: NDArray[Any] | DeviceArray, *, consume: bool = False) -> "PrefixKV":
        """The prefix `ids`, which begins with this one.

        Its memory is asked of the system and goes back to it whole. Prefixes outlive the runs that make them, and each
        has another size: in an arena, ONNX Runtime's or malloc's, they would leave holes.

        Args:
            ids: tokens, (seq,).
            own: keys and values of those that this prefix lacks, (layers, 2, kv_heads, own, head_dim).
            consume: give this prefix's memory back while it is copied, layer by layer, so that both are never whole in
                memory. It can't be used any more.
        """
        shape = (*own.shape[:3], len(ids), own.shape[4])
        memory = mmap.mmap(-1, prod(shape) * own.dtype.itemsize)
        keys_values = np.frombuffer(memory, own.dtype).reshape(shape)
        before, after = np.asarray(self.keys_values), np.asarray(own)
        for layer in range(len(keys_values)):
            np.concatenate([before[layer], after[layer]], axis=2, out=keys_values[layer])
            if consume and self.memory is not None:
                _give_back(self.memory, (layer + 1) * before[layer].nbytes)
        return PrefixKV(ids, keys_values, memory)


def _give_back(memory: mmap.mmap, stop: int) -> None:
    """Let the system have the first `stop` bytes back, as far as they are whole pages."""
    length = stop - stop % mmap.PAGESIZE
    if length and hasattr(mmap, "MADV_DONTNEED"):  # Windows has none
        memory.madvise(mmap.MADV_DONTNEED, 0, length)


class PrefixCache:
    """The prefixes run last, for the next call to begin with. Safe to share between threads."""

    def __init__(self, max_tokens: int) -> None:
        """Keep prefixes of at most `max_tokens` tokens in all."""
        self.max_tokens = max_tokens
        self._lock = Lock()
        self._prefixes: list[PrefixKV] = []  # the latest first

    def prefixes(self) -> list[PrefixKV]:
        """The prefixes that are kept now."""
        with self._lock:
            return list(self._prefixes)

    def add(self, prefix: PrefixKV) -> None:
        """Keep a prefix, in place of those that it begins with and of the oldest that have no room any more."""
        if not 0 < len(prefix.ids) <= self.max_tokens:
            return
        with self._lock:
            latest = next((other for other in self._prefixes if _begins_with(other, prefix)), prefix)
            kept, room = [latest], self.max_tokens - len(latest.ids)
            for other in self._prefixes:
                if not _begins_with(latest, other) and len(other.ids) <= room:
                    kept.append(other)
                    room -= len(other.ids)
            self._prefixes = kept


def _begins_with(prefix: PrefixKV, other: PrefixKV) -> bool:
    return np.array_equal(prefix.ids[: len(other.ids)], other.ids)


def write_prefix(file: Path, prefix: PrefixKV) -> None:
    """Write a prefix as an npz file, uncompressed."""
    np.savez(file, ids=prefix.ids, keys_values=prefix.keys_values)


def read_prefix(file: Path, empty: PrefixKV) -> PrefixKV:
    """Read what `write_prefix` wrote, and nothing else that an npz file can hold.

    Args:
        file: the file.
        empty: a prefix without tokens, in the shape and type that the graph takes.

    Raises:
        BundleError: it can't be read, or is the prefix of another model.
    """
    layers, two, kv_heads, _, head_dim = empty.keys_values.shape
    try:
        with ZipFile(file) as archive:
            ids = _read_array(archive, "ids.npy")
            keys_values = _read_array(archive, "keys_values.npy")
    except Exception as error:  # zipfile and numpy raise a dozen kinds on a damaged file
        raise BundleError(f"{file}: keys and values can't be read ({error}); export the bundle again.") from error
    if ids.dtype.kind != "i" or ids.ndim != 1 or keys_values.dtype.kind != "f":
        raise BundleError(
            f"{file} holds {ids.dtype} tokens of shape {ids.shape} and {keys_values.dtype} keys and values; export the"
            " bundle again."
        )
    if keys_values.shape != (layers, two, kv_heads, len(ids), head_dim):
        raise BundleError(
            f"{file} holds keys and values of shape {keys_values.shape} for {len(ids)} tokens, and the graph takes"
            f" {empty.keys_values.shape}, token axis 3; export the bundle again."
        )
    return PrefixKV(ids.astype(np.int32), keys_values.astype(empty.keys_values.dtype, copy=False))


def _read_array(archive: ZipFile, name: str) -> NDArray[Any]:
    """An array that is stored as it is: an archive of a megabyte then can't become gigabytes in memory."""
    entry = archive.getinfo(name)
    if entry.compress_type != ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1:
        raise ValueError(f"{name} is compressed or encrypted")
    if archive.fp is None or entry.file_size > Path(archive.fp.name).stat().st_size:
        raise ValueError(f"{name} has more bytes than the file")
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"{name} has a header of version {version}")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        size = prod(shape) * dtype.itemsize
        if dtype.hasobject or in_columns or size != entry.file_size - stream.tell():
            raise ValueError(f"{name} has another size than its shape and type say")
        return np.frombuffer(stream.read(size), dtype).reshape(shape)
