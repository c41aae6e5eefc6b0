"""What a long `aatm-onnx rerank --input` takes: time to the first ranking, time in all, and memory at its peak.

Run: `python benchmarks/streaming.py` (100,000 queries of three candidates with the default model), or with
`--queries`, `--candidates`, `--model`. Reading from a file to standard output, and from a file to a file.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = (
    *("acute", "chronic", "left", "right", "upper", "lower", "pain", "swelling"),
    *("fracture", "cyst", "ulcer", "stenosis", "knee", "kidney", "liver", "lung"),
)


def write_queries(path: Path, queries: int, candidates: int) -> None:
    """Queries and candidates of two to four words."""
    draw = random.Random(0)

    def text() -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(2, 4)))

    with path.open("w", encoding="utf-8") as stream:
        for _ in range(queries):
            stream.write(json.dumps({"query": text(), "candidates": [text() for _ in range(candidates)]}) + "\n")


def measure(source: Path, model: str, output: Path | None) -> str:
    """Run the command, and say when its first ranking came, when its last, and what memory it took."""
    command = [sys.executable, "-m", "aatm_onnx.cli", "rerank", "--input", str(source)]
    command += ["--format", "jsonl", "--model", model, *(["--output", str(output)] if output else [])]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline() and time.perf_counter() - start
        lines = 1 + sum(1 for _ in process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    taken = time.perf_counter() - start
    assert process.returncode == 0
    if output:
        with output.open("rb") as stream:
            lines = sum(1 for _ in stream)
    shown = f"first ranking after {first:.2f} s, " if first else ""
    return f"{lines:,} rankings in {taken:.0f} s, {shown}at most {usage.ru_maxrss / 1e3:.0f} MB"


def main() -> None:
    """Print the figures of both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--candidates", type=int, default=3)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "queries.jsonl"
        for queries in (options.queries // 100, options.queries):
            write_queries(source, queries, options.candidates)
            print(f"{queries:,} queries, {options.candidates} candidates each, {source.stat().st_size / 1e6:.1f} MB")
            print(f"  to standard output: {measure(source, options.model, None)}", flush=True)
            print(f"  to a file:          {measure(source, options.model, Path(folder) / 'out.jsonl')}", flush=True)


if __name__ == "__main__":
    main()
