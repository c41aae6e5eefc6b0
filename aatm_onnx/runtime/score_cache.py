"""Logits of prompts that were scored before, for calls that ask for the same pairs again."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..prompt import TokenIds

Logits = NDArray[np.float32]  # (prompts, 2)


class ScoreCache:
    """The logits of the prompts that were asked for last, by their token ids; some 250 bytes of memory each.

    It belongs to one session, so to one bundle; a prompt's ids hold prefix, task, query, document and suffix. It may be
    shared between threads.
    """

    def __init__(self, most: int) -> None:
        """Begin empty; `most` prompts are kept, 0 keeps none."""
        self._most = most
        self._lock = Lock()
        self._logits = OrderedDict[bytes, bytes]()  # the one asked for last is the last

    def __len__(self) -> int:
        """How many prompts are known."""
        return len(self._logits)

    def logits(self, prompts: Sequence[TokenIds], score: Callable[[Sequence[TokenIds]], Logits]) -> Logits:
        """The logits of "no" and "yes" of each prompt, (prompts, 2): known ones as they were, the others from `score`.

        What `score` raises goes on, and nothing is kept then. Logits that are not finite are not kept either.
        """
        if not self._most:
            return score(prompts)
        keys = [_key(prompt) for prompt in prompts]
        known = self._known(keys)
        missing = [row for row, key in enumerate(keys) if key not in known]
        logits = np.empty((len(prompts), 2), np.float32)
        if missing:
            logits[missing] = score([prompts[row] for row in missing])
        for row, key in enumerate(keys):
            if key in known:
                logits[row] = np.frombuffer(known[key], np.float32)
        self._keep([(keys[row], logits[row].tobytes()) for row in missing if np.isfinite(logits[row]).all()])
        return logits

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        with self._lock:
            known = {key: self._logits[key] for key in keys if key in self._logits}
            for key in known:
                self._logits.move_to_end(key)
        return known

    def _keep(self, new: Sequence[tuple[bytes, bytes]]) -> None:
        with self._lock:
            for key, logits in new:
                self._logits[key] = logits
                self._logits.move_to_end(key)
            while len(self._logits) > self._most:
                self._logits.popitem(last=False)


def _key(prompt: TokenIds) -> bytes:
    """A prompt's 128-bit hash: among a billion prompts two are equal with a probability of 1e-21."""
    return blake2b(np.asarray(prompt, np.int32).tobytes(), digest_size=16).digest()
