"""A real local Ray cluster: a worker is killed, the driver is killed, and every row is still there once."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .terms import ROOT, ROWS, assert_same, environment, rank_alone, rows_by_code, write_terms

EXAMPLE = ROOT / "examples" / "ray_terminology.py"


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, with their command lines."""
    parents, names = dict[int, int](), dict[int, str]()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: names[child] for child in found - {pid}}


def workers(pid: int) -> list[int]:
    return [child for child, name in descendants(pid).items() if "MapWorker" in name]


@contextlib.contextmanager
def example(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The example at work; whatever it has started is gone afterwards."""
    command = [sys.executable, EXAMPLE, "in", "out", "--checkpoint", "checkpoint", "--block", "40"]
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log, text=True)
    started = dict[int, str]()
    try:
        yield process
        started = descendants(process.pid)
    finally:
        started |= descendants(process.pid)
        process.kill()
        process.wait()
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(1200)
def test_a_killed_worker_and_a_killed_driver_cost_no_row(tmp_path: Path) -> None:
    expected = rank_alone(write_terms(tmp_path / "in"), tmp_path / "alone")
    output = tmp_path / "out"

    def written() -> int:
        return sum(1 for _ in output.glob("*.parquet"))

    with example(tmp_path) as driver:
        wait_for(lambda: len(workers(driver.pid)) == 2 and written() >= 1, driver)
        os.kill(workers(driver.pid)[0], signal.SIGKILL)
        before = written()
        wait_for(lambda: written() >= before + 2, driver)  # it goes on
        driver.kill()
    assert 0 < len(done := rows_by_code(whole_files(output))) < ROWS, "the driver was killed too late to prove anything"
    with example(tmp_path) as driver:
        assert driver.wait(400) == 0
    assert_same(rows_by_code(pq.read_table(output)), expected)
    assert f"{ROWS - len(done)} rows and" in (tmp_path / "log").read_text()  # the second run did only what was left


def whole_files(folder: Path) -> pa.Table:
    """The rows of the files that were written to their end; whoever is killed leaves one that was only begun."""
    tables = []
    for file in folder.glob("*.parquet"):
        with contextlib.suppress(pa.ArrowInvalid):
            tables.append(pq.read_table(file))
    return pa.concat_tables(tables)


DATA_FRAMES = """
import ray
from aatm_onnx.table import TableReranker

ray.init(num_cpus=4)
ranked = ray.data.read_parquet("terms").map_batches(
    TableReranker,
    fn_constructor_kwargs={"provider": "cpu", "threads": 1},
    batch_format="pandas",
    num_cpus=1,
    compute=ray.data.ActorPoolStrategy(size=2),
)
ranked.write_parquet("ranked")
"""


def test_ray_passes_data_frames_too(folder: Path, expected: dict[int, Any]) -> None:
    command = [sys.executable, "-c", DATA_FRAMES]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert_same(rows_by_code(pq.read_table(folder / "ranked")), expected)
