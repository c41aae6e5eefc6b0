"""The n-gram pool of models/evaluate.py over any number of names: every name is compared, some thousand at a time.

The same similarity as `recipe.pool.NgramIndex`, the cosine of TF-IDF over character 3- and 4-grams, but with hashed
grams and without holding all names in memory.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from recipe.sources import fold

_BITS = 26
_AT_ONCE = 50_000


def nearest_of_all(names: Path, queries: Sequence[str], count: int) -> NDArray[np.int64]:
    """The rows of the names most similar to each query, (queries, count), best first."""
    frequency, rows = np.zeros(1 << _BITS, np.int32), 0
    for chunk in _chunks(names):
        _, grams, _ = _counted(chunk)
        found, times = np.unique(grams, return_counts=True)
        frequency[found] += times.astype(np.int32)
        rows += len(chunk)
    idf = (np.log((1 + rows) / (1 + frequency)) + 1).astype(np.float32)
    owner, grams, counts = _counted(queries)
    asked, column = np.unique(grams, return_inverse=True)
    wanted = np.zeros((len(asked), len(queries)), np.float32)
    wanted[column, owner] = counts * idf[grams]
    wanted *= frequency[asked][:, None] > 0  # the pool knows only grams of names
    columns = np.full(1 << _BITS, -1, np.int32)
    columns[asked] = np.arange(len(asked))
    best = torch.full((len(queries), count), -1.0)
    places = torch.zeros((len(queries), count), dtype=torch.int64)
    done = 0
    for chunk in _chunks(names):
        cosines = _cosines(chunk, idf, columns, torch.from_numpy(wanted)).t()
        values, which = cosines.topk(min(count, len(chunk)), dim=1)
        best, chosen = torch.cat([best, values], 1).topk(count, dim=1)
        places = torch.cat([places, which + done], 1).gather(1, chosen)
        done += len(chunk)
    return places.numpy()


def _cosines(
    chunk: Sequence[str], idf: NDArray[np.float32], columns: NDArray[np.int32], wanted: torch.Tensor
) -> torch.Tensor:
    """Of each text of a chunk with each query, not divided by the queries' lengths, which change no order."""
    owner, grams, counts = _counted(chunk)
    values = counts * idf[grams]
    lengths = np.sqrt(np.bincount(owner, values**2, len(chunk))).astype(np.float32)
    values /= np.maximum(lengths, 1e-9)[owner]
    shared = columns[grams] >= 0
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner[shared], minlength=len(chunk)))])
    matrix = torch.sparse_csr_tensor(
        torch.from_numpy(starts),
        torch.from_numpy(columns[grams[shared]].astype(np.int64)),
        torch.from_numpy(values[shared]),
        size=(len(chunk), len(wanted)),
    )
    return matrix @ wanted


def _chunks(names: Path) -> Iterator[list[str]]:
    chunk: list[str] = []
    with names.open(encoding="utf-8") as stream:
        for line in stream:
            chunk.append(line.rstrip("\n"))
            if len(chunk) == _AT_ONCE:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _counted(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """(text, hashed gram, how often the text has it) of all grams, ascending."""
    padded = [f" {fold(text)} \0" for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32).astype(np.uint64)
    owner = np.repeat(np.arange(len(padded), dtype=np.uint64), [len(text) for text in padded])
    ends, keys = codes == 0, []
    for size in (3, 4):
        count = max(len(codes) - size + 1, 0)
        hashed, inside = np.full(count, size, np.uint64), np.ones(count, np.bool_)
        for offset in range(size):
            hashed = (hashed ^ codes[offset : offset + count]) * np.uint64(0x9E3779B97F4A7C15)
            hashed ^= hashed >> np.uint64(31)
            inside &= ~ends[offset : offset + count]
        keys.append((owner[:count] << np.uint64(_BITS) | hashed & np.uint64((1 << _BITS) - 1))[inside])
    distinct, counts = np.unique(np.concatenate(keys), return_counts=True)
    grams = (distinct & np.uint64((1 << _BITS) - 1)).astype(np.int64)
    return (distinct >> np.uint64(_BITS)).astype(np.int64), grams, counts.astype(np.float32)
