"""Many threads on one reranker against one call with all their pairs, and against one call after the other."""

import random
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aatm_onnx import Qwen3Reranker

CALLS, CANDIDATES, ROUNDS = 64, 20, 7
WORDS = ("acute", "chronic", "renal", "left", "right", "pain", "cyst", "stone", "failure", "of the", "benign")


def main() -> None:
    rng = random.Random(0)
    terms = [" ".join(rng.sample(WORDS, rng.randint(2, 5))) for _ in range(2000)]
    calls = [(rng.choice(terms), rng.sample(terms, CANDIDATES)) for _ in range(CALLS)]
    reranker = Qwen3Reranker(provider="cpu")

    def together() -> None:
        reranker.score_pairs([query for query, _ in calls], [documents for _, documents in calls])

    def threads(count: int) -> None:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda call: reranker.score(*call), calls))

    ways: dict[str, Callable[[], None]] = {
        "one call with all pairs": together,
        "8 threads": lambda: threads(8),
        "64 threads": lambda: threads(64),
        "one call after the other": lambda: [reranker.score(*call) for call in calls] and None,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    one = statistics.median(seconds["one call with all pairs"])
    print(f"{CALLS} calls of {CANDIDATES} candidates, default model, median of {ROUNDS} rounds")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<26}{1000 * median:7.0f} ms   {median / one:.2f} times one call")


if __name__ == "__main__":
    main()
