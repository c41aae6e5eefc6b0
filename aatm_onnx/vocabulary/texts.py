"""A long list of texts in two files: their UTF-8, one after another, and where each ends."""

import mmap
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .arrays import mapped, save_array

_AT_ONCE = 5000


class TextWriter:
    """Writes texts, one after another; only their ends are kept in memory."""

    def __init__(self, path: Path) -> None:
        """Open `path`.utf8 to write."""
        self._path = path
        self._stream = path.with_suffix(".utf8").open("wb")
        self._ends = array("q", [0])

    def append(self, text: str) -> None:
        """Write one text."""
        encoded = text.encode("utf-8")
        self._stream.write(encoded)
        self._ends.append(self._ends[-1] + len(encoded))

    def __len__(self) -> int:
        """How many were written."""
        return len(self._ends) - 1

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._stream.close()
        save_array(self._path.with_suffix(".npy"), np.frombuffer(self._ends, np.int64))


class Texts:
    """Texts that `TextWriter` wrote, mapped into memory."""

    def __init__(self, path: Path) -> None:
        """Open `path`.utf8 and `path`.npy."""
        self._ends: NDArray[np.int64] = mapped(path.with_suffix(".npy"))
        with path.with_suffix(".utf8").open("rb") as stream:  # an empty file can't be mapped
            self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if self._ends[-1] else b""

    def __len__(self) -> int:
        """How many there are."""
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        """One text."""
        return str(self._data[int(self._ends[index]) : int(self._ends[index + 1])], "utf-8")

    def at(self, indices: Iterable[int] | NDArray[np.int64]) -> list[str]:
        """Several texts."""
        return [self[int(index)] for index in indices]

    def chunks(self) -> Iterator[list[str]]:
        """All texts, some thousand at a time."""
        for start in range(0, len(self), _AT_ONCE):
            yield self.at(range(start, min(start + _AT_ONCE, len(self))))
