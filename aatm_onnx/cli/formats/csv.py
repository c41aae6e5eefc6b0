"""CSV: one row a candidate."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from ...csv_rows import listed, numbered_rows, refuse_doubled
from ...ranking import RankedDocument
from ..terminal import printable
from .item import QueryCandidates, kept_as

_COLUMNS = ("query", "rank", "rerank_score", "index", "expression")
_DETAILS = ("logit", "tokens", "truncated")


def read(stream: IO[str], name: str, query_column: str, candidate_column: str) -> Iterator[QueryCandidates]:
    """Read one row per candidate; rows of the same query stand together, in the retriever's order.

    Args:
        stream: the open file, its line ends as they are.
        name: what to call it in an error.
        query_column: the column of the query.
        candidate_column: the column of the candidate.

    Raises:
        ValueError: a column is missing or there twice, or, with its line, a row that has too few or too many fields or
            an open quote, or is of a query that came before other queries.
    """
    if query_column == candidate_column:
        raise ValueError(f"Query and candidate must be two columns, not both {query_column!r}.")
    rows = numbered_rows(stream, name)
    _, columns = next(rows, (0, []))
    _check_columns(columns, name, query_column, candidate_column)
    yield from _grouped(_records(rows, columns, name), query_column, candidate_column)


def _check_columns(columns: Sequence[str], name: str, *wanted: str) -> None:
    for column in wanted:
        if column not in columns:
            raise ValueError(f"{name} has no column {column!r}; its columns are {listed(columns)}.")
    refuse_doubled(name, columns)


def _records(
    rows: Iterable[tuple[int, list[str]]], columns: Sequence[str], name: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows as dictionaries, each with its place for an error."""
    for number, row in rows:
        where = f"{name}, line {number}"
        if len(row) < len(columns):
            raise ValueError(f"{where}: the row is shorter than the header.")
        if len(row) > len(columns):
            raise ValueError(f"{where}: the row is longer than the header; quote a text that has the separator in it.")
        yield where, dict(zip(columns, row, strict=True))


def _grouped(
    records: Iterable[tuple[str, dict[str, str]]], query_column: str, candidate_column: str
) -> Iterator[QueryCandidates]:
    item: QueryCandidates | None = None
    seen = set[int]()  # hashes of the queries: 100,000 take 8 MB, however long their texts are
    for where, record in records:
        query, candidate = record.pop(query_column), record.pop(candidate_column)
        if item is None or item.query != query:
            if item is not None:
                yield item
            if hash(query) in seen:
                raise ValueError(
                    f"{where}: rows of the query {query!r} also stand further above, with other queries between; sort"
                    " the file by its query column."
                )
            seen.add(hash(query))
            item = QueryCandidates(query, where=where)
        item.candidates.append(candidate)
        item.extra.append(dict(record))
    if item is not None:
        yield item


class Writer:
    """Writes one row per candidate, best first: query, rank, score, index in the input, candidate, further columns.

    A further field NAME of a query is the column `query_NAME`, one of a candidate is NAME, or `input_NAME` where that
    is taken. Lists and objects are written as JSON.
    """

    def __init__(self, stream: IO[str], queries: Sequence[str], candidates: Sequence[str], details: bool) -> None:
        """Write the header.

        Args:
            stream: the open file.
            queries: names of the queries' further fields.
            candidates: names of the candidates' further fields.
            details: also write each pair's logit, its number of tokens, and whether it was cut.
        """
        self._writer = csv.writer(stream, lineterminator="\n")
        self._shown = printable if stream.isatty() else str
        own = _COLUMNS + (_DETAILS if details else ())
        self._details = details
        self._queries, self._candidates = queries, candidates
        of_queries = kept_as([f"query_{name}" for name in queries], own)
        of_candidates = kept_as(candidates, {*own, *of_queries.values()})
        self._row([*own, *of_queries.values(), *of_candidates.values()])

    def write(self, item: QueryCandidates, ranking: Iterable[RankedDocument]) -> None:
        """Write one query's rows."""
        for rank, row in enumerate(ranking, 1):
            details = [row.logit, row.tokens, row.truncated] if self._details else []
            extra = item.extra[row.index]
            further = [item.fields.get(name) for name in self._queries] + [extra.get(name) for name in self._candidates]
            self._row([item.query, rank, row.score, row.index, row.document, *details, *map(_flat, further)])

    def _row(self, values: Sequence[object]) -> None:
        self._writer.writerow([self._shown(value) if isinstance(value, str) else value for value in values])


def _flat(value: Any) -> Any:
    """A value as it is, but JSON of what CSV has no form for."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value
