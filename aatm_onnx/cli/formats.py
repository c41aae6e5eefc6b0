"""Queries with candidates from JSONL, CSV or plain lines, and rankings back as a table, JSONL or CSV."""

import contextlib
import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from .. import atomic
from ..ranking import RankedDocument, check_text

Format = Literal["jsonl", "csv"]


@dataclass
class QueryCandidates:
    """One query and its candidates in the retriever's order.

    extra: further fields of each candidate.
    fields: further fields of the query's own JSON object.
    """

    query: str
    candidates: list[str] = field(default_factory=list)
    extra: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


def read_lines(stream: IO[str]) -> list[str]:
    """One candidate a line; empty lines are skipped."""
    return [line.strip() for line in stream if line.strip()]


def read_jsonl(stream: IO[str], name: str) -> Iterator[QueryCandidates]:
    """Read `{"query": ..., "candidates": [...]}` lines; a candidate is a string or an object with an `expression`.

    Args:
        stream: the open file.
        name: what to call it in an error.

    Raises:
        ValueError: naming the line that is wrong.
    """
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name}, line {number}: not JSON ({error}).") from None
        yield _from_record(record, f"{name}, line {number}")


def _from_record(record: Any, where: str) -> QueryCandidates:
    if not isinstance(record, dict) or not isinstance(record.get("query"), str):
        raise ValueError(f'{where}: expected an object with a string "query" and a list "candidates".')
    candidates = record.get("candidates")
    if not isinstance(candidates, list):
        raise ValueError(f'{where}: "candidates" must be a list of strings, or of objects with an "expression".')
    item = QueryCandidates(check_text(record["query"], f"{where}: the query"))
    item.fields = {key: value for key, value in record.items() if key not in ("query", "candidates", "results")}
    check_text(json.dumps(item.fields, ensure_ascii=False), f"{where}: a field of the query")
    for index, candidate in enumerate(candidates):
        fields = candidate if isinstance(candidate, dict) else {"expression": candidate}
        if not isinstance(fields.get("expression"), str):
            raise ValueError(f'{where}: candidate {index} is no string and has no string "expression".')
        item.candidates.append(check_text(fields["expression"], f"{where}: candidate {index}"))
        item.extra.append({key: value for key, value in fields.items() if key != "expression"})
        check_text(json.dumps(item.extra[-1], ensure_ascii=False), f"{where}: a field of candidate {index}")
    return item


def read_csv(stream: IO[str], name: str, query_column: str, candidate_column: str) -> Iterator[QueryCandidates]:
    """Read one row per candidate; rows of the same query stand together, in the retriever's order.

    Raises:
        ValueError: a column is missing, or, with its line, a row that has too few or too many fields or an open quote.
    """
    if query_column == candidate_column:
        raise ValueError(f"Query and candidate must be two columns, not both {query_column!r}.")
    reader = csv.DictReader(stream, strict=True)  # else an open quote would take in the lines after it
    try:
        yield from _from_rows(reader, name, query_column, candidate_column)
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.reader.line_num}: not CSV ({error}); is a quote left open?") from None


def _from_rows(
    reader: "csv.DictReader[str]", name: str, query_column: str, candidate_column: str
) -> Iterator[QueryCandidates]:
    columns = list(reader.fieldnames or [])
    for column in (query_column, candidate_column):
        if column not in columns:
            raise ValueError(f"{name} has no column {column!r}; its columns are {', '.join(columns) or 'none'}.")
    item: QueryCandidates | None = None
    for row in reader:
        query, candidate = row.pop(query_column), row.pop(candidate_column)
        if query is None or candidate is None:
            raise ValueError(f"{name}, line {reader.line_num}: the row is shorter than the header.")
        if None in row:
            raise ValueError(
                f"{name}, line {reader.line_num}: the row is longer than the header; quote a text that has commas."
            )
        if item is None or item.query != query:
            if item is not None:
                yield item
            item = QueryCandidates(query)
        item.candidates.append(candidate)
        item.extra.append(dict(row))
    if item is not None:
        yield item


def write_jsonl(stream: IO[str], item: QueryCandidates, ranking: Iterable[RankedDocument]) -> None:
    """Write one line: the query and its candidates, best first, each with its score and its index in the input.

    A further field of one of these names gives way to what is new.
    """
    results = []
    for index, score, text in ranking:
        new = {"expression": text, "rerank_score": score, "index": index}
        results.append(new | {name: value for name, value in item.extra[index].items() if name not in new})
    stream.write(json.dumps({"query": item.query, **item.fields, "results": results}, ensure_ascii=False) + "\n")


class CsvWriter:
    """Writes one row per candidate, best first: query, rank, score, index in the input, candidate, further columns."""

    _COLUMNS = ("query", "rank", "rerank_score", "index", "expression")

    def __init__(self, stream: IO[str], items: Iterable[QueryCandidates]) -> None:
        """Write the header: a column for every further field that a candidate of `items` has."""
        self._writer = csv.writer(stream, lineterminator="\n")
        fields = dict.fromkeys(name for item in items for extra in item.extra for name in extra)
        self._further = [name for name in fields if name not in self._COLUMNS]
        self._writer.writerow([*self._COLUMNS, *self._further])

    def write(self, item: QueryCandidates, ranking: Iterable[RankedDocument]) -> None:
        """Write one query's rows."""
        for rank, (index, score, text) in enumerate(ranking, 1):
            further = [item.extra[index].get(column, "") for column in self._further]
            self._writer.writerow([item.query, rank, score, index, text, *further])


def write_table(stream: IO[str], item: QueryCandidates, ranking: Iterable[RankedDocument]) -> None:
    """Write one query for people: the new order, the score, and where the retriever had the candidate."""
    stream.write(f"{item.query}\n")
    for rank, (index, score, text) in enumerate(ranking, 1):
        stream.write(f"{rank:>4}  {score:7.4f}  {text}" + (f"  (was {index + 1})\n" if index + 1 != rank else "\n"))
    stream.write("\n")


@contextlib.contextmanager
def writing(output: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that appears whole or not at all; a pipe or a device is written to as it is."""
    if output is None:
        if sys.stdout is None:  # as after `>&-`
            raise OSError("Standard output is closed; name a file with --output.")
        yield sys.stdout
        return
    if output.exists() and not output.is_file():
        with output.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    with atomic.whole_file(output) as binary:
        text = io.TextIOWrapper(binary, "utf-8", newline="")
        try:
            yield text
            text.flush()
        finally:
            with contextlib.suppress(OSError):
                text.detach()  # else it closes what it wraps
