"""Use one reranker for a long time, from several threads, and see that nothing grows and no score changes.

python benchmarks/soak.py --minutes 30
"""

import argparse
import gc
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aatm_onnx import Qwen3Reranker

# Long enough for caches and arenas to have grown to their size.
WARM_UP_SECONDS = 60
# What may come on top: malloc and the arena are not exact.
MEGABYTES, DESCRIPTORS, THREADS = 40, 4, 2
# Batches of other calls change the order in which floats are added up.
TOLERANCE = 5e-6

TERMS = ["Hypertension", "Renal cyst", "Nephrolithiasis", "Gallstones", "Fracture of left femur", "高血圧", ""]


@dataclass(frozen=True)
class Usage:
    """What the process holds."""

    megabytes: float
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> "Usage":
        """Read Linux's /proc."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(pages * 4096 / 1e6, len(list(Path("/proc/self/fd").iterdir())), threading.active_count())

    def __str__(self) -> str:
        return f"{self.megabytes:.0f} MB, {self.descriptors} descriptors, {self.threads} threads"


def call(reranker: Qwen3Reranker, seed: int) -> list[float]:
    """One of a thousand different calls: short lists, long ones, a long document."""
    pick = random.Random(seed % 1000)
    documents = [f"{pick.choice(TERMS)} {pick.choice(TERMS)}" for _ in range(pick.choice([1, 5, 50, 200]))]
    if seed % 100 == 99:
        documents = [pick.choice(TERMS) + " pain" * 3000]
    return reranker.score(pick.choice(TERMS), documents)


def main() -> None:
    """Run, print what the process holds every minute, and exit with 1 if something grew or a score changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--model", help="A bundle; default: the default model.")
    options = parser.parse_args()
    reranker = Qwen3Reranker(options.model, provider="cpu")
    first: dict[int, list[float]] = {}
    begin = report = time.monotonic()
    base: Usage | None = None
    calls, worst = 0, 0.0
    with ThreadPoolExecutor(options.callers) as callers:
        while (elapsed := time.monotonic() - begin) < options.minutes * 60:
            seeds = [random.randrange(1000) for _ in range(16)]
            for seed, scores in zip(seeds, callers.map(lambda seed: call(reranker, seed), seeds), strict=True):
                before = first.setdefault(seed, scores)
                worst = max([worst, *(abs(a - b) for a, b in zip(before, scores, strict=True))])
            calls += len(seeds)
            if not calls % 4096:  # opened again and closed
                with Qwen3Reranker(options.model, provider="cpu") as other:
                    call(other, 1)
            if base is None and elapsed > min(WARM_UP_SECONDS, options.minutes * 20):
                base = Usage.now()
            if time.monotonic() - report > 60:
                report = time.monotonic()
                print(f"{elapsed / 60:5.1f} min, {calls} calls: {Usage.now()}", flush=True)
    end = Usage.now()
    print(f"{calls} calls of {len(first)} kinds in {options.minutes:g} min: scores differ by at most {worst:.1e}")
    print(f"after the warm-up: {base}; at the end: {end}")
    grew = base is None or (
        end.megabytes > base.megabytes + MEGABYTES
        or end.descriptors > base.descriptors + DESCRIPTORS
        or end.threads > base.threads + THREADS
    )
    sys.exit(1 if grew or worst > TOLERANCE else 0)


if __name__ == "__main__":
    main()
