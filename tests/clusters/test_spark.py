"""The same TableReranker in Spark, with the guide's program."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .guide import run_program
from .terms import assert_same, rows_by_code


def test_spark(folder: Path, expected: dict[int, Any]) -> None:
    run_program("Spark", folder)
    assert_same(rows_by_code(pq.read_table(folder / "ranked")), expected)
