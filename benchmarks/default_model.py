"""`make bench-default`: the cost of the model in the package, warm and cold.

The queries are those of `examples/terms.jsonl`, each with its 50 candidates.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from aatm_onnx import Qwen3Reranker

TERMS = Path(__file__).resolve().parent.parent / "examples" / "terms.jsonl"
ROUNDS, STARTS = 5, 9


def warm(terms: list[dict[str, Any]]) -> list[float]:
    """Milliseconds of every query, the first round left out."""
    reranker = Qwen3Reranker()
    times = []
    for _ in range(ROUNDS + 1):
        for term in terms:
            begun = time.perf_counter()
            reranker.score(term["query"], term["candidates"])
            times.append(1e3 * (time.perf_counter() - begun))
    return times[len(terms) :]


def warm_processor(terms: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Milliseconds of processor time of every query in a row, and those after one, until the process rests."""
    reranker = Qwen3Reranker()
    begun = time.process_time()
    for term in terms:
        reranker.score(term["query"], term["candidates"])
    calls = [1e3 * (time.process_time() - begun) / len(terms)]
    after = []
    for term in terms:
        reranker.score(term["query"], term["candidates"])
        begun = time.process_time()
        time.sleep(0.1)
        after.append(1e3 * (time.process_time() - begun))
    return calls, after


def cold(*arguments: str) -> list[float]:
    """Seconds of whole processes of Python."""
    command = [sys.executable, *arguments]
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
    command, term = ("-m", "aatm_onnx.cli"), terms[0]
    processor, after = warm_processor(terms)
    for label, times in (
        (f"one query of {len(term['candidates'])} candidates, ms", warm(terms)),
        ("its processor time, one query after the other, ms", processor),
        ("processor time after it, until the process rests, ms", after),
        ("a new process that does nothing, s", cold("-c", "pass")),
        ("one that imports aatm_onnx", cold("-c", "import aatm_onnx")),
        ("one that imports the reranker", cold("-c", "from aatm_onnx import Qwen3Reranker")),
        ("aatm-onnx --help", cold(*command, "--help")),
        ("aatm-onnx rerank, to its ranked list", cold(*command, "rerank", term["query"], *term["candidates"])),
    ):
        print(f"| {label} | {statistics.median(times):.3g} | {min(times):.3g} | {max(times):.3g} |")


if __name__ == "__main__":
    main()
