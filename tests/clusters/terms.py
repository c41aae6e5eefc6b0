"""Parquet files of terms, and what one process makes of them."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
ROWS, CANDIDATES = 480, 10


def write_terms(folder: Path) -> Path:
    """Write four files of terms, each with a code and a list of candidates."""
    draw, words = random.Random(0), ["knee", "left", "right", "pain", "cyst", "renal", "chronic", "acute", "ulcer"]
    folder.mkdir()
    for first in range(0, ROWS, ROWS // 4):
        codes = list(range(first, first + ROWS // 4))
        queries = [" ".join(draw.choices(words, k=3)) for _ in codes]
        groups = [[" ".join(draw.choices(words, k=4)) for _ in range(CANDIDATES)] for _ in codes]
        table = pa.table({"code": codes, "query": queries, "candidates": groups})
        pq.write_table(table, folder / f"{first:05}.parquet")
    return folder


def rank_alone(source: Path, output: Path) -> dict[int, Any]:
    """Rank with the command line, in one process."""
    command = [
        sys.executable,
        "-m",
        "aatm_onnx.cli",
        "rerank",
        "--provider",
        "cpu",
        "--input",
        source,
        "--output",
        output,
    ]
    subprocess.run(command, check=True, timeout=300)
    return rows_by_code(pq.read_table(output))


def rows_by_code(table: Any) -> dict[int, Any]:
    """Every row by its code, which is there once, its scores by candidate."""
    rows = {}
    for row in table.to_pylist():
        assert row["code"] not in rows
        assert row["rank_score"] == sorted(row["rank_score"], reverse=True)
        scores = dict(zip(row.pop("rank_index"), row.pop("rank_score"), strict=True))
        rows[row["code"]] = row | {"scores": [scores[index] for index in range(len(scores))]}
    return rows


def assert_same(rows: dict[int, Any], expected: dict[int, Any]) -> None:
    """Row for row the same; scores to the seventh digit, which the batch and the threads can change."""
    assert rows.keys() == expected.keys()
    for code, row in expected.items():
        assert rows[code] == row | {"scores": pytest.approx(row["scores"], abs=2e-6)}


def environment() -> dict[str, str]:
    """What a child process needs to import this checkout."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
