"""The beginning of a prompt, already run through the model: what the tokens after it attend to."""

from dataclasses import dataclass
from math import prod
from mmap import mmap
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .device import DeviceArray
from .errors import BundleError
from .prompt import TokenIds


@dataclass(frozen=True)
class Past:
    """A prompt's first tokens and what they leave behind.

    ids: its tokens, (seq,).
    keys_values: what the tokens after it attend to, (layers, 2, kv_heads, seq, head_dim).
    """

    ids: TokenIds
    keys_values: NDArray[np.floating[Any]] | DeviceArray

    def first(self, length: int) -> "Past":
        """Only the first tokens: no token depends on a later one."""
        if length == len(self.ids):
            return self  # and stay on the device, if that is where it is
        return Past(self.ids[:length], np.ascontiguousarray(np.asarray(self.keys_values)[..., :length, :]))

    def followed_by(self, ids: TokenIds, own: NDArray[Any] | DeviceArray) -> "Past":
        """The past of `ids`, which begin with this one's.

        Its memory is asked of the system and goes back to it, whole: pasts outlive the runs that make them, and each
        has another size, so that in an arena, ONNX Runtime's or malloc's, they would leave holes.

        Args:
            ids: tokens, (seq,).
            own: keys and values of those that this past has not, (layers, 2, kv_heads, own, head_dim).
        """
        shape = (*own.shape[:3], len(ids), own.shape[4])
        memory = mmap(-1, prod(shape) * own.dtype.itemsize)
        keys_values = np.frombuffer(memory, own.dtype).reshape(shape)
        np.concatenate([np.asarray(self.keys_values), np.asarray(own)], axis=3, out=keys_values)
        return Past(ids, keys_values)


def write_past(file: Path, past: Past) -> None:
    """Write a past as an npz file, uncompressed."""
    np.savez(file, ids=past.ids, keys_values=past.keys_values)


def read_past(file: Path, empty: Past) -> Past:
    """Read what `write_past` wrote.

    Args:
        file: the file.
        empty: a past without tokens, in the shape and type that the graph takes.

    Raises:
        BundleError: it can't be read, or is the past of another model.
    """
    try:
        with np.load(file) as arrays:
            past = Past(arrays["ids"], arrays["keys_values"].astype(empty.keys_values.dtype, copy=False))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BundleError(f"{file}: keys and values can't be read ({error}); export the bundle again.") from error
    if past.first(0).keys_values.shape != empty.keys_values.shape or past.keys_values.shape[-2:-1] != past.ids.shape:
        raise BundleError(
            f"{file} holds keys and values of shape {past.keys_values.shape} for {len(past.ids)} tokens, and the graph"
            f" takes {empty.keys_values.shape}, token axis 3; export the bundle again."
        )
    return past
