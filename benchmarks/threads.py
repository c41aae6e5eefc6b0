"""Many threads on one reranker against one call with all their pairs, and against one call after the other.

Threads are there before the time is taken. Eight of them have no more than eight calls to run together, so beside them
stand calls of eight queries, one after the other.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier

from aatm_onnx import Qwen3Reranker

CANDIDATES = 20
WORDS = ("acute", "chronic", "renal", "left", "right", "pain", "cyst", "stone", "failure", "of the", "benign")


def started(threads: int) -> ThreadPoolExecutor:
    """A pool whose threads are there already."""
    pool, all_there = ThreadPoolExecutor(threads), Barrier(threads)
    wait([pool.submit(all_there.wait) for _ in range(threads)])
    return pool


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a bundle; default: the default model")
    parser.add_argument("--calls", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rng = random.Random(0)
    terms = [" ".join(rng.sample(WORDS, rng.randint(2, 5))) for _ in range(2000)]
    calls = [(rng.choice(terms), rng.sample(terms, CANDIDATES)) for _ in range(options.calls)]
    reranker = Qwen3Reranker(options.model, provider="cpu")

    def together(queries: int) -> None:
        for first in range(0, len(calls), queries):
            some = calls[first : first + queries]
            reranker.score_pairs([query for query, _ in some], [documents for _, documents in some])

    def in_threads(pool: ThreadPoolExecutor) -> None:
        list(pool.map(lambda call: reranker.score(*call), calls))

    def one_by_one() -> None:
        for call in calls:
            reranker.score(*call)

    eight, many = started(8), started(64)
    ways: dict[str, Callable[[], None]] = {
        "one call with all pairs": lambda: together(len(calls)),
        "64 threads": lambda: in_threads(many),
        "calls of 8 queries": lambda: together(8),
        "8 threads": lambda: in_threads(eight),
        "one call after the other": one_by_one,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    one = statistics.median(seconds["one call with all pairs"])
    print(f"{options.calls} calls of {CANDIDATES} candidates, {reranker!r}, median of {options.rounds} rounds")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<26}{1000 * median:7.0f} ms   {median / one:.2f} times one call")


if __name__ == "__main__":
    main()
