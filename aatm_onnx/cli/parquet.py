"""Parquet in, a folder of Parquet parts out, and on where a run was stopped.

A part is named by what it is made from (`part-00003-5f2a....parquet`): the bytes of its row group, its rows, the model
and the options. A part that exists is never made again, and one of another run is never taken.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import atomic
from ..arrow import import_pyarrow
from ..bundle import MANIFEST_FILE, sha256_of
from ..reranker import Reranker
from ..rerankers import Qwen3Reranker
from ..table import TableReranker


@dataclass(frozen=True)
class Part:
    """Some rows of a row group, and the file that their ranking goes to.

    Attributes:
        source: the Parquet file that they are in.
        group: the row group's index in it.
        start: the first row's index in the row group.
        rows: how many rows.
        output: the part's own file.
    """

    source: Path
    group: int
    start: int
    rows: int
    output: Path


def rank_parts(
    source: Path, output: Path, rank: TableReranker, part_rows: int, progress: Callable[[int], None]
) -> tuple[int, int]:
    """Rank a Parquet file, or all those of a folder, part by part.

    Args:
        source: the file or folder.
        output: the folder of the parts; it is made where it is missing.
        rank: what ranks a table.
        part_rows: the most rows of a part: what a kill can cost.
        progress: called with the number of rows that another finished part has.

    Returns:
        How many parts there are, and how many of them a run before had made.

    Raises:
        ImportError: pyarrow is not installed.
        OSError, ValueError: a file can't be read or written, or the folder has parts of another run.
    """
    parts = list(_plan(source, output, f"{_identity(rank)}, {part_rows}", part_rows))
    output.mkdir(parents=True, exist_ok=True)
    _refuse_others(output, {part.output.name for part in parts})
    made = 0
    for part, table in _tables(parts, part_rows):
        if table is not None:
            _write(rank, part, table)
            made += 1
        progress(part.rows)
    return len(parts), len(parts) - made


def rows_of(source: Path) -> int:
    """How many rows a file, or all those of a folder, has."""
    return sum(_opened(file).metadata.num_rows for file in _files(source))


def _files(source: Path) -> list[Path]:
    files = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files:
        raise ValueError(f"{source} has no file whose name ends in .parquet.")
    return files


def _opened(file: Path) -> Any:
    pa = import_pyarrow()
    try:
        return pa.parquet.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file} can't be read as Parquet ({error}).") from None


def _plan(source: Path, output: Path, identity: str, part_rows: int) -> Iterator[Part]:
    number = 0
    for file in _files(source):
        metadata = _opened(file).metadata
        for group in range(metadata.num_row_groups):
            content = _content(file, metadata, group)
            rows = metadata.row_group(group).num_rows
            for start in range(0, rows, part_rows):
                key = hashlib.sha256(f"{content}, {start}, {identity}".encode()).hexdigest()[:16]
                name = f"part-{number:05}-{key}.parquet"
                yield Part(file, group, start, min(part_rows, rows - start), output / name)
                number += 1


def _content(file: Path, metadata: Any, group: int) -> str:
    """Hex sha256 of a row group: its columns and its bytes."""
    digest = hashlib.sha256(str(metadata.schema.to_arrow_schema().remove_metadata()).encode())
    with file.open("rb") as stream:
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            starts = (column.dictionary_page_offset, column.data_page_offset)
            stream.seek(min(start for start in starts if start))  # a column without a dictionary says None, or 0
            digest.update(stream.read(column.total_compressed_size))
    return digest.hexdigest()


def _identity(rank: TableReranker) -> str:
    """All that a score depends on beside the row: model, options and version."""
    from ..version import __version__  # asking what is installed takes 12 ms, and most commands need not know

    columns = (rank.query, rank.candidates, rank.text, rank.task, rank.top_k, rank.truncate, rank.index, rank.score)
    return json.dumps([__version__, columns, *_model_identity(rank.reranker)])


def _model_identity(reranker: Reranker) -> list[object]:
    if not isinstance(reranker, Qwen3Reranker):
        return [type(reranker).__name__]
    seal = sha256_of(reranker.bundle.path / MANIFEST_FILE)  # the manifest holds the hashes of all other files
    return [seal, reranker.provider, reranker.max_length, reranker.task, reranker.prefix, reranker.suffix]


def _refuse_others(output: Path, expected: set[str]) -> None:
    others = sorted(path.name for path in output.glob("*.parquet") if path.name not in expected)
    if others:
        raise ValueError(
            f"{output} has {len(others)} files that are not of this run, the first is {others[0]}: they are of another"
            " input, model, version or options. Name another folder, or remove them."
        )


def _tables(parts: list[Part], part_rows: int) -> Iterator[tuple[Part, Any]]:
    """Every part with its rows; None in their place where its file exists."""
    import pyarrow as pa

    opened: tuple[Path, Any] | None = None
    batches: Iterator[Any] = iter(())
    for part in parts:
        if opened is None or opened[0] != part.source:
            opened = part.source, _opened(part.source)
        if part.start == 0:
            batches = opened[1].iter_batches(part_rows, row_groups=[part.group])
        try:
            batch = next(batches)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{part.source}, row group {part.group}: can't be read ({error}).") from None
        if batch.num_rows != part.rows:
            raise ValueError(
                f"{part.source}, row group {part.group}: {batch.num_rows} rows came where {part.rows} were asked for;"
                " take fewer with --part-rows."
            )
        yield part, None if part.output.exists() else pa.Table.from_batches([batch])


def _write(rank: TableReranker, part: Part, table: Any) -> None:
    import pyarrow.parquet as pq

    try:
        ranked = rank(table)
    except ValueError as error:
        place = f"{part.source}, row group {part.group}, from row {part.start}"
        raise ValueError(f"{place}: {error}") from None
    with atomic.whole_file(part.output) as stream:
        pq.write_table(ranked, stream)
