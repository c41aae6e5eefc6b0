"""`make bench-default`: the cost of the model in the package, warm and cold.

The queries are those of `examples/terms.jsonl`, each with its 50 candidates.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from aatm_onnx import Qwen3Reranker

TERMS = Path(__file__).resolve().parent.parent / "examples" / "terms.jsonl"
ROUNDS, STARTS = 5, 9


def warm(terms: list[dict]) -> list[float]:
    """Milliseconds of every query, the first round left out."""
    reranker = Qwen3Reranker()
    times = []
    for _ in range(ROUNDS + 1):
        for term in terms:
            begun = time.perf_counter()
            reranker.score(term["query"], term["candidates"])
            times.append(1e3 * (time.perf_counter() - begun))
    return times[len(terms) :]


def cold(term: dict) -> list[float]:
    """Seconds of whole processes, from their start to a ranked list of the term's candidates."""
    command = [sys.executable, "-m", "aatm_onnx.cli", "rerank", term["query"], *term["candidates"]]
    times = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return times


def main() -> None:
    """Print a table."""
    terms = [json.loads(line) for line in TERMS.read_text(encoding="utf-8").splitlines()]
    print("| default model | median | least | most |\n|---|---|---|---|")
    for label, times in (
        (f"one query of {len(terms[0]['candidates'])} candidates, ms", warm(terms)),
        ("a new process to its ranked list, s", cold(terms[0])),
    ):
        print(f"| {label} | {statistics.median(times):.3g} | {min(times):.3g} | {max(times):.3g} |")


if __name__ == "__main__":
    main()
