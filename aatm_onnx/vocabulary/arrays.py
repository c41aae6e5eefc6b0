"""Arrays in files of numpy's format: mapped into memory, and written so that a full disk is an error that says so."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_AT_ONCE = 1 << 20


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write the file that `np.save` writes.

    On a full disk `np.save` says "65537 requested and 1520 written", not that the disk is full.

    Raises:
        OSError: it can't be written.
    """
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
        stream.write(np.ascontiguousarray(array).data)


def mapped(path: Path) -> NDArray[Any]:
    """The array of such a file, mapped into memory."""
    array: NDArray[Any] = np.load(path, mmap_mode="r").view(np.ndarray)
    return array  # slices of a plain view are cheaper than a memmap's


def mapped_zeros(path: Path, dtype: DTypeLike, count: int) -> "np.memmap[Any, np.dtype[Any]]":
    """Make a file of zeros and map it into memory, to be filled there.

    Its room on the disk is taken first: a mapped page without any ends the process by a signal.

    Returns:
        The array, (count,).

    Raises:
        OSError: it can't be written.
    """
    zeros = np.zeros(min(count, _AT_ONCE), dtype)
    header = {"descr": zeros.dtype.str, "fortran_order": False, "shape": (count,)}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, count, _AT_ONCE):
            stream.write(zeros[: count - start].data)
    array: np.memmap[Any, np.dtype[Any]] = np.load(path, mmap_mode="r+")
    return array
