"""The same TableReranker in multiprocessing and Dask, with the guide's programs; each has processes of its own."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aatm_onnx.table import TableReranker

from .guide import run_program
from .terms import assert_same, rows_by_code


def test_multiprocessing(folder: Path, expected: dict[int, Any]) -> None:
    run_program("multiprocessing", folder)
    assert_same(rows_by_code(pq.read_table(folder / "ranked.parquet")), expected)


def test_multiprocessing_by_a_fork_server(folder: Path, expected: dict[int, Any]) -> None:
    tables = [pq.read_table(path) for path in sorted((folder / "terms").iterdir())]
    with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as pool:
        ranked = pool.map(TableReranker(provider="cpu", threads=1), tables)
        assert_same(rows_by_code(pa.concat_tables(ranked)), expected)


def test_dask(folder: Path, expected: dict[int, Any]) -> None:
    run_program("Dask", folder)
    assert len(list((folder / "ranked").glob("*.parquet"))) == 4
    assert_same(rows_by_code(pq.read_table(folder / "ranked")), expected)
