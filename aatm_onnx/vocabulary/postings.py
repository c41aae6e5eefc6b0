"""An inverted index of character n-grams over texts, in memory-mapped arrays.

The similarity is the cosine of TF-IDF vectors of hashed n-grams. Rows are numbered by the length of their vectors, so
the rows that can be similar to a query at all stand together in every posting list.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .arrays import mapped, mapped_zeros, save_array
from .grams import fold, gram_sets

# A cosine of c needs vectors whose lengths differ by a factor of at most 1 / c: others are not looked at.
_LEAST_SIMILARITY = 0.2
_SEARCHED_POSTINGS = 1_500_000  # read per query, rare grams first
_ROWS_AT_ONCE = 50_000  # of a build: some 3 million grams, 150 MB
_FEWEST_RESCORED = 300  # the best by the grams that were read; their cosines are computed in full
_BLOCK = 1 << 19  # rows whose overlaps are summed at a time: 2 MB, which stays near a core


class Postings:
    """The index of one folder, opened."""

    def __init__(self, folder: Path) -> None:
        """Map the files that `write_postings` wrote."""
        self._starts: NDArray[np.int64] = mapped(folder / "gram_starts.npy")
        self._rows: NDArray[np.uint32] = mapped(folder / "gram_rows.npy")
        self._lengths: NDArray[np.float32] = mapped(folder / "lengths.npy")
        self._bits = (len(self._starts) - 1).bit_length() - 1

    def nearest(
        self,
        query: str,
        count: int,
        texts_of: Callable[[NDArray[np.int64]], Sequence[str]],
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows most similar to a query.

        Args:
            query: a text.
            count: how many rows to return at most.
            texts_of: gives the texts of rows.
            allowed: a flag for each row; None allows all.

        Returns:
            (rows, cosines), both of shape (found,), best first; equal ones in the order of their rows.
        """
        _, grams = gram_sets([fold(query)], self._bits)
        weights = self._idf(grams)
        rows = self._shortlist(grams, weights, max(2 * count, _FEWEST_RESCORED), allowed)
        cosines = self._cosines(grams, weights, texts_of(rows))
        order = np.argsort(-cosines, kind="stable")[:count]
        return rows[order], cosines[order]

    def alike(self, query: str) -> NDArray[np.int64]:
        """The few rows whose vectors are as long as the query's: the same text, if it is there, is among them."""
        _, grams = gram_sets([fold(query)], self._bits)
        length = float(np.linalg.norm(self._idf(grams).astype(np.float64)))
        return np.arange(self._row_of(length * (1 - 1e-6)), self._row_of(length * (1 + 1e-6)))

    def _idf(self, grams: NDArray[np.uint32]) -> NDArray[np.float32]:
        frequency = self._starts[grams.astype(np.int64) + 1] - self._starts[grams]
        return _idf(frequency, len(self._lengths))

    def _shortlist(
        self, grams: NDArray[np.uint32], weights: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """The rows with the largest cosines by the grams that are read, ascending.

        A row's overlap is the sum of squared weights of the grams it shares; its cosine is in proportion to overlap
        divided by length. Blocks of rows are visited from the query's own length on outwards, and one that can't have
        a row for the list is left out: an overlap is at most the square of either length.
        """
        length = float(np.linalg.norm(weights))
        low = self._row_of(length * _LEAST_SIMILARITY)
        high = self._row_of(length / _LEAST_SIMILARITY)
        lists = self._lists(grams, weights, low, high)
        edges = np.append(np.arange(low, high, _BLOCK), high)
        cuts = [np.searchsorted(rows, edges.astype(np.uint32)) for rows, _ in lists]
        middle = self._row_of(length) - _BLOCK // 2
        best = _Best(count)
        sums = np.empty(_BLOCK, np.float32)
        for block in np.argsort(np.abs(edges[:-1] - middle), kind="stable"):
            start, end = int(edges[block]), int(edges[block + 1])
            shortest, longest = float(self._lengths[start]), float(self._lengths[end - 1])
            if longest <= best.least or length**2 <= best.least * shortest:
                continue
            overlaps = sums[: end - start]
            overlaps.fill(0)
            for (rows, square), cut in zip(lists, cuts, strict=True):
                np.add.at(overlaps, rows[cut[block] : cut[block + 1]] - np.uint32(start), square)
            if allowed is not None:
                overlaps[~allowed[start:end]] = 0
            near = np.flatnonzero(overlaps > best.least * shortest)
            best.add(start + near, overlaps[near] / self._lengths[start:end][near])
        return np.sort(best.rows)

    def _row_of(self, length: float) -> int:
        """The first row of at least a length."""
        return int(np.searchsorted(self._lengths, np.float32(length)))  # a plain float would convert all lengths

    def _lists(
        self, grams: NDArray[np.uint32], weights: NDArray[np.float32], low: int, high: int
    ) -> list[tuple[NDArray[np.uint32], np.float32]]:
        """(rows from `low` to `high`, squared weight) of the grams, rare ones first, as many as a search reads."""
        lists, left = [], _SEARCHED_POSTINGS
        for index in np.argsort(-weights, kind="stable"):
            rows = self._rows[self._starts[grams[index]] : self._starts[int(grams[index]) + 1]]
            if low > 0 or high < len(self._lengths):
                rows = rows[np.searchsorted(rows, np.uint32(low)) : np.searchsorted(rows, np.uint32(high))]
            if (left := left - len(rows)) < 0:
                break
            lists.append((rows, weights[index] ** 2))
        return lists

    def _cosines(
        self, grams: NDArray[np.uint32], weights: NDArray[np.float32], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        owner, theirs = gram_sets([fold(text) for text in texts], self._bits)
        squared = self._idf(theirs) ** 2
        lengths = np.sqrt(np.bincount(owner, squared, len(texts)))
        shared = np.isin(theirs, grams)
        products = np.bincount(owner[shared], squared[shared], len(texts))
        return (products / np.maximum(lengths * float(np.linalg.norm(weights)), 1e-9)).astype(np.float32)


class _Best:
    """The rows with the largest values so far.

    Attributes:
        rows: the rows, at most `count`.
        least: what a further row must exceed: the smallest of their values, or 0 while there is room.
    """

    def __init__(self, count: int) -> None:
        self.rows = np.zeros(0, np.int64)
        self.least = 0.0
        self._count, self._values = count, np.zeros(0, np.float32)

    def add(self, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Take further rows."""
        rows, values = np.concatenate([self.rows, rows]), np.concatenate([self._values, values])
        if len(rows) > self._count:
            largest = np.argpartition(-values, self._count - 1)[: self._count]
            rows, values = rows[largest], values[largest]
        self.rows, self._values = rows, values
        if len(rows) == self._count:
            self.least = float(values.min())


def _idf(frequency: NDArray[np.int64], rows: int) -> NDArray[np.float32]:
    return (np.log((1 + rows) / (1 + frequency)) + 1).astype(np.float32)


@dataclass
class _Scratch:
    """The grams of all texts, text after text."""

    starts: NDArray[np.int64]
    grams: NDArray[np.uint32]

    def rows(self, which: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """(place in `which`, gram) of the texts `which`."""
        counts = self.starts[which + 1] - self.starts[which]
        place = np.repeat(np.arange(len(which)), counts)
        within = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, self.grams[self.starts[which][place] + within]


def write_postings(folder: Path, texts: Callable[[], Iterator[list[str]]], count: int) -> NDArray[np.int64]:
    """Index texts.

    Args:
        folder: where the files go.
        texts: gives all texts, in lists of a few thousand.
        count: how many there are.

    Returns:
        The texts in the order of their rows, (count,): row `i` is text `order[i]`.
    """
    bits = min(max(count.bit_length() + 3, 16), 22)
    scratch = _write_scratch(folder / "scratch", texts, count, bits)
    frequency = np.zeros(1 << bits, np.int64)
    for start in range(0, len(scratch.grams), 1 << 23):
        frequency += np.bincount(scratch.grams[start : start + (1 << 23)], minlength=1 << bits)
    squares = _idf(frequency, count) ** 2
    lengths = np.zeros(count, np.float32)
    for start in range(0, count, _ROWS_AT_ONCE):
        which = np.arange(start, min(start + _ROWS_AT_ONCE, count))
        place, grams = scratch.rows(which)
        lengths[which] = np.sqrt(np.bincount(place, squares[grams], len(which)))
    order = np.argsort(lengths, kind="stable")
    save_array(folder / "lengths.npy", lengths[order])
    starts = np.concatenate([[0], np.cumsum(frequency)])
    save_array(folder / "gram_starts.npy", starts)
    _write_rows(folder / "gram_rows.npy", scratch, order, starts)
    (folder / "scratch").unlink()
    return order


def _write_scratch(path: Path, texts: Callable[[], Iterator[list[str]]], count: int, bits: int) -> _Scratch:
    starts = np.zeros(count + 1, np.int64)
    done = 0
    with path.open("wb") as stream:
        for chunk in texts():
            owner, grams = gram_sets([fold(text) for text in chunk], bits)
            starts[done + 1 : done + len(chunk) + 1] = np.bincount(owner, minlength=len(chunk))
            stream.write(grams.tobytes())
            done += len(chunk)
    np.cumsum(starts, out=starts)
    return _Scratch(starts, np.memmap(path, np.uint32, "r") if starts[-1] else np.zeros(0, np.uint32))


def _write_rows(path: Path, scratch: _Scratch, order: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
    rows = mapped_zeros(path, np.uint32, int(starts[-1]))
    free = starts[:-1].copy()
    for start in range(0, len(order), _ROWS_AT_ONCE):
        which = order[start : start + _ROWS_AT_ONCE]
        place, grams = scratch.rows(which)
        keys = np.sort(grams.astype(np.uint64) << np.uint64(32) | (place + start).astype(np.uint64))
        grams = (keys >> np.uint64(32)).astype(np.int64)
        first = np.flatnonzero(np.diff(grams, prepend=-1))
        distinct, counts = grams[first], np.diff(first, append=len(grams))
        target = np.arange(len(grams)) + np.repeat(free[distinct] - first, counts)
        rows[target] = (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        free[distinct] += counts
    rows.flush()
