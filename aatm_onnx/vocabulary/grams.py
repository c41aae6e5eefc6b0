"""Texts as sets of hashed character n-grams: what the vocabulary's index compares."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIZES = (3, 4)  # characters of a gram
_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """The form in which texts are compared: lower case, no accents, words separated by one space."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(_WORD.findall(text.casefold()))


def gram_sets(folded: Sequence[str], bits: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The distinct grams of each text, hashed.

    Args:
        folded: texts as `fold` gives them.
        bits: a gram is hashed to a number below 2**bits.

    Returns:
        (owner, gram), both of shape (grams of all texts,): the text that a gram is from, ascending, and its hash,
        ascending within a text.
    """
    padded = [f" {text} \0" for text in folded]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    owner = np.repeat(np.arange(len(padded), dtype=np.uint64), [len(text) for text in padded])
    ends = codes == 0
    keys = []
    for size in SIZES:
        count = max(len(codes) - size + 1, 0)
        hashed = np.full(count, size, np.uint64)
        inside = np.ones(count, np.bool_)  # the gram does not reach into the next text
        for offset in range(size):
            hashed = (hashed ^ codes[offset : offset + count]) * np.uint64(0x9E3779B97F4A7C15)
            hashed ^= hashed >> np.uint64(29)
            inside &= ~ends[offset : offset + count]
        keys.append((owner[:count] << np.uint64(bits) | hashed & np.uint64((1 << bits) - 1))[inside])
    every = np.sort(np.concatenate(keys))
    distinct = every[np.diff(every, prepend=np.uint64(0xFFFFFFFFFFFFFFFF)) != 0]
    return (distinct >> np.uint64(bits)).astype(np.int64), (distinct & np.uint64((1 << bits) - 1)).astype(np.uint32)
