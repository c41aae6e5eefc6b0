"""Ray Data with one and with two workers: pairs a second of examples/ray_terminology.py, started as a user starts it.

Run: `python benchmarks/ray_workers.py` (needs ray[data]). One and two workers take turns; medians are shown. The rate
is that of the blocks after the first four, when all workers are at work; starting Ray and its workers is shown apart.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from workers import CANDIDATES, EXAMPLES, terms_table

FIRST = 4  # blocks that are not counted


def measure(folder: Path, workers: int, block: int) -> tuple[float, float]:
    """Pairs a second, and seconds until the first block was written."""
    output = folder / f"out-{time.monotonic_ns()}"
    command = [sys.executable, str(EXAMPLES / "ray_terminology.py"), "in", str(output), "--checkpoint", f"{output}-ids"]
    command += ["--workers", str(workers), "--block", str(block)]
    started = time.time()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    written = sorted(
        (path.stat().st_mtime, pq.ParquetFile(path).metadata.num_rows) for path in output.glob("*.parquet")
    )
    pairs = CANDIDATES * sum(rows for _, rows in written[FIRST:])
    return pairs / (written[-1][0] - written[FIRST - 1][0]), written[0][0] - started


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2400)
    parser.add_argument("--block", type=int, default=80, help="rows of a block")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = terms_table(options.rows)
    table = table.append_column("code", pa.array(range(options.rows)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for start in range(0, options.rows, options.rows // 4):
            pq.write_table(table.slice(start, options.rows // 4), folder / "in" / f"{start:06}.parquet")
        rounds = [[measure(folder, workers, options.block) for workers in (1, 2)] for _ in range(options.rounds)]
    print(f"{os.cpu_count()} CPUs; {options.rows} rows of {CANDIDATES} candidates, {options.block} a block")
    for index, title in enumerate(("one worker", "two workers")):
        rate, first = (statistics.median(each[index][kind] for each in rounds) for kind in (0, 1))
        print(f"{title}: {rate:,.0f} pairs a second; the first block was written after {first:.1f} s")
    ratios = sorted(two / one for (one, _), (two, _) in rounds)
    print(f"two workers are {statistics.median(ratios):.2f} times one ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
