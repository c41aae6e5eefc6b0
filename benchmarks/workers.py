"""What a worker of a cluster does: pairs a second with one and with two workers, and what a row costs beside its pairs.

Run: `python benchmarks/workers.py` (needs pyarrow). A worker is a process with one thread and the default model, as in
examples/ray_terminology.py. One and two workers take turns; medians are shown. Times of the processor hardly change
when other programs run, times of the clock do.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pyarrow as pa

from aatm_onnx import PairScore, Reranker
from aatm_onnx.reranker import Documents
from aatm_onnx.table import TableReranker

CANDIDATES = 50
EXAMPLES = Path(__file__).parents[1] / "examples"


def terms_table(rows: int) -> Any:
    """A row a term, with candidates from the terms of the demo."""
    lines = [json.loads(line) for line in (EXAMPLES / "terms.jsonl").read_text("utf-8").splitlines()]
    names = [name for line in lines for name in line["candidates"]]
    draw = random.Random(0)
    groups = [draw.sample(names, CANDIDATES) for _ in range(rows)]
    return pa.table({"query": [draw.choice(lines)["query"] for _ in range(rows)], "candidates": groups})


def work(table: Any, barrier: Barrier, results: Any) -> None:
    """Rank a table once everybody is ready; say how long it took by the clock and of the processor."""
    rank = TableReranker(provider="cpu", threads=1)
    rank(table.slice(0, 8))
    barrier.wait()
    wall, cpu = time.perf_counter(), time.process_time()
    rank(table)
    results.put((time.perf_counter() - wall, time.process_time() - cpu))


def measure(workers: int, table: Any) -> tuple[float, float]:
    """Milliseconds of the clock a pair that comes out, and of the processor a pair."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    processes = [context.Process(target=work, args=(table, barrier, results)) for _ in range(workers)]
    for process in processes:
        process.start()
    taken = [results.get() for _ in processes]
    for process in processes:
        process.join()
    pairs = table.num_rows * CANDIDATES
    return 1e3 * max(wall for wall, _ in taken) / (pairs * workers), 1e3 * statistics.mean(c for _, c in taken) / pairs


class Nothing(Reranker):
    """Gives every pair the same score at once."""

    def _score_pairs(
        self, queries: Sequence[str], documents: Documents, tasks: Sequence[str | None], truncate: bool, first: int = 0
    ) -> list[list[PairScore]]:
        return [[PairScore(0.5) for _ in group] for group in documents]


def overhead(table: Any) -> float:
    """Microseconds of the processor a row, for all that is neither the tokenizer's nor the model's."""
    rank = TableReranker(Nothing())
    start = time.process_time()
    rank(table)
    return 1e6 * (time.process_time() - start) / float(table.num_rows)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    table = terms_table(options.rows)
    rounds = [(measure(1, table), measure(2, table)) for _ in range(options.rounds)]
    print(
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {options.rows} rows of {CANDIDATES} candidates a worker"
    )
    for index, name in enumerate(("one worker", "two workers")):
        wall, cpu = (statistics.median(each[index][kind] for each in rounds) for kind in (0, 1))
        print(f"{name}: {wall:.3f} ms of the clock a pair, {cpu:.3f} ms of the processor a pair")
    ratios = sorted(one[0] / two[0] for one, two in rounds)
    print(f"two workers are {statistics.median(ratios):.2f} times one ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"{overhead(table):.0f} us of the processor a row beside tokenizer and model")
    sizes = [each.nbytes / table.num_rows for each in (table, TableReranker(Nothing())(table))]
    print(f"a row in memory: {sizes[0]:.0f} bytes in, {sizes[1]:.0f} out")


if __name__ == "__main__":
    main()
