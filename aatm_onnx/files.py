"""Queries with candidates from JSONL, CSV or plain lines, and rankings back as a table, JSONL or CSV."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from .results import RankedDocument, check_text

Format = Literal["jsonl", "csv"]


@dataclass
class QueryCandidates:
    """One query and its candidates in the retriever's order; `extra[i]` are further fields of candidate i."""

    query: str
    candidates: list[str] = field(default_factory=list)
    extra: list[dict[str, Any]] = field(default_factory=list)


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
        ValueError: a column is missing, a row is too short or a quote is left open; the row's line is named.
    """
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
        if item is None or item.query != query:
            if item is not None:
                yield item
            item = QueryCandidates(query)
        item.candidates.append(candidate)
        item.extra.append({key: value for key, value in row.items() if key is not None})
    if item is not None:
        yield item


def write_jsonl(stream: IO[str], item: QueryCandidates, ranking: Iterable[RankedDocument]) -> None:
    """Write one line: the query and its candidates, best first, each with its score and its index in the input."""
    results = [
        {"expression": text, "rerank_score": score, "index": index, **item.extra[index]}
        for index, score, text in ranking
    ]
    stream.write(json.dumps({"query": item.query, "results": results}, ensure_ascii=False) + "\n")


class CsvWriter:
    """Writes one row per candidate, best first: query, rank, score, index in the input, candidate, further columns."""

    def __init__(self, stream: IO[str]) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")
        self._extra: list[str] | None = None

    def write(self, item: QueryCandidates, ranking: Iterable[RankedDocument]) -> None:
        """Write one query's rows; the header comes with the first."""
        if self._extra is None:
            self._extra = list(item.extra[0]) if item.extra else []
            self._writer.writerow(["query", "rank", "rerank_score", "index", "expression", *self._extra])
        for rank, (index, score, text) in enumerate(ranking, 1):
            further = [item.extra[index].get(column, "") for column in self._extra]
            self._writer.writerow([item.query, rank, score, index, text, *further])


def write_table(stream: IO[str], item: QueryCandidates, ranking: Iterable[RankedDocument]) -> None:
    """Write one query for people: the new order, the score, and where the retriever had the candidate."""
    stream.write(f"{item.query}\n")
    for rank, (index, score, text) in enumerate(ranking, 1):
        stream.write(f"{rank:>4}  {score:7.4f}  {text}" + (f"  (was {index + 1})\n" if index + 1 != rank else "\n"))
    stream.write("\n")
