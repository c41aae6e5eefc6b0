"""The same TableReranker in Dask, multiprocessing and Spark; each with processes of its own."""

import multiprocessing
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aatm_onnx.table import TableReranker

from .terms import assert_same, rank_alone, rows_by_code, write_terms


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_terms(tmp_path_factory.mktemp("terms") / "in")


@pytest.fixture(scope="module")
def expected(terms: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    return rank_alone(terms, tmp_path_factory.mktemp("alone") / "out")


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_multiprocessing(start: str, terms: Path, expected: dict[int, Any]) -> None:
    tables = [pq.read_table(path) for path in sorted(terms.iterdir())]
    with ProcessPoolExecutor(2, multiprocessing.get_context(start)) as pool:
        ranked = pool.map(TableReranker(provider="cpu", threads=1), tables)
        assert_same(rows_by_code(pa.concat_tables(ranked)), expected)


def test_dask(terms: Path, expected: dict[int, Any]) -> None:
    dataframe = pytest.importorskip("dask.dataframe")
    distributed = pytest.importorskip("distributed")
    rank = TableReranker(provider="cpu", threads=1)
    # Without it, Dask makes the lists into text.
    with (
        pytest.importorskip("dask").config.set({"dataframe.convert-string": False}),
        distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None),
    ):
        frame = dataframe.read_parquet(terms)
        ranked = frame.map_partitions(rank, meta=frame._meta.assign(rank_index=object(), rank_score=object()))
        assert ranked.npartitions == 4
        assert_same(rows_by_code(pa.Table.from_pandas(ranked.compute(), preserve_index=False)), expected)


def test_spark(terms: Path, expected: dict[int, Any], tmp_path: Path) -> None:
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        frame, rank = spark.read.parquet(str(terms)), TableReranker(provider="cpu", threads=1)
        types = sql.types
        schema = types.StructType(list(frame.schema.fields))
        schema.add("rank_index", types.ArrayType(types.IntegerType()))
        schema.add("rank_score", types.ArrayType(types.DoubleType()))
        ranked = frame.mapInArrow(lambda batches: map(rank, batches), schema)
        ranked.write.parquet(str(tmp_path / "out"))
    finally:
        spark.stop()
    assert_same(rows_by_code(pq.read_table(tmp_path / "out")), expected)
