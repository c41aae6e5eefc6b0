"""Rank tables: one row a query, with a list column of its candidates.

The same object is called by hand, by Ray Data (`map_batches`), Spark (`mapInArrow`), Dask (`map_partitions`) and
multiprocessing. None of them is imported here, and pyarrow only where an Arrow table comes in.
"""

import functools
import os
from collections.abc import Iterator, Sequence, Set
from typing import Any, TypeVar

from .load import load_reranker, opening
from .models import ModelName, plain_name
from .ranking import RankedDocument, check_top_k
from .reranker import Reranker

T = TypeVar("T")


class TableReranker:
    """Adds each row's ranking to a table: the candidates' indices, best first, and their scores.

    It is cheap to make and to pickle. The reranker is opened with the first table, and all equal TableRerankers of a
    process share it. There is no fallback to BM25: workers of one job must not mix scores of two kinds.

    Attributes:
        query: the column of queries, strings.
        candidates: the column of candidates: lists of strings, or of structs (dicts) with a field of text.
        text: that field.
        task: the column of the queries' own instructions; None where there is none.
        top_k: how many of the best are kept; None keeps all.
        truncate: whether a pair that is too long is cut; otherwise it is refused.
        index: the new column of indices into the row's candidates, best first.
        score: the new column of scores, in the same order.
    """

    def __init__(
        self,
        model: ModelName | Reranker = None,
        *,
        query: str = "query",
        candidates: str = "candidates",
        text: str = "expression",
        task: str | None = None,
        top_k: int | None = None,
        truncate: bool = True,
        index: str = "rank_index",
        score: str = "rank_score",
        **options: Any,
    ) -> None:
        """Remember what to do; nothing is opened yet.

        Args:
            model: as `load_reranker` takes it, or a reranker. Give workers a name: they open it once in a process, and
                a reranker with every copy that they are sent.
            query: the column of queries.
            candidates: the column of candidates.
            text: the field of a candidate that is a struct.
            task: the column of instructions, where queries have their own.
            top_k: keep only this many of each query's candidates.
            truncate: cut a pair that is too long for the model. False refuses it.
            index: what to call the column of indices.
            score: what to call the column of scores.
            **options: further arguments of `load_reranker`. Where several workers share a machine, give each its
                `threads`: otherwise each takes all CPUs.

        Raises:
            ValueError: a `fallback` is given, `top_k` is less than 1, or both new columns have one name.
        """
        if options.get("fallback") is not None:
            raise ValueError("A TableReranker has no fallback: the rows of one job must not have scores of two kinds.")
        if index == score:
            raise ValueError(f"The new columns can't both be called {index!r}; give index and score two names.")
        self.query, self.candidates, self.text, self.task = query, candidates, text, task
        self.top_k, self.truncate = check_top_k(top_k), truncate
        self.index, self.score = index, score
        self._model, self._options = model, options

    @property
    def reranker(self) -> Reranker:
        """The reranker, opened when it is first asked for."""
        if isinstance(self._model, Reranker):
            return self._model
        name = plain_name(self._model)
        with opening():
            return _opened(None if name is None else os.fspath(name), tuple(sorted(self._options.items())))

    def __call__(self, table: T) -> T:
        """Rank every row.

        Args:
            table: a pyarrow Table or RecordBatch, or a pandas DataFrame. A row without candidates (an empty list, or
                none) gets empty lists.

        Returns:
            A table of the same kind: all columns of `table`, then the indices (int32) and the scores (float64).

        Raises:
            TypeError: it is another kind of table.
            ValueError: a column is missing or there twice, or a text is not a string; the message says which and where.
            TooLongError: (a ValueError) a pair is too long and `truncate` is False.
        """
        names = _names(table)
        wanted = [self.query, self.candidates, *([self.task] if self.task else [])]
        if missing := [name for name in wanted if name not in names]:
            raise ValueError(f"The table has no column {missing[0]!r}; its columns are {', '.join(map(str, names))}.")
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise ValueError(f"The table has more than one column {twice[0]!r}; give each a name of its own.")
        if taken := [name for name in (self.index, self.score) if name in names]:
            raise ValueError(f"The table has a column {taken[0]!r} already; choose other names for the new columns.")
        columns = [_values(table, name) for name in wanted]
        rankings = list(self.reranker.rank_stream(self._items(*columns), self.top_k, truncate=self.truncate))
        ranked: T = self._with_columns(table, rankings)
        return ranked

    def _items(
        self, queries: Sequence[Any], groups: Sequence[Any], tasks: Sequence[Any] | None = None
    ) -> Iterator[tuple[str, list[str], str | None]]:
        for row, (query, group) in enumerate(zip(queries, groups, strict=True)):
            yield query, self._texts(group, row), None if tasks is None else tasks[row]

    def _texts(self, group: Any, row: int) -> list[str]:
        if group is None:
            return []
        if isinstance(group, str | bytes | dict | Set) or not hasattr(group, "__len__"):
            raise ValueError(f"Row {row}: {self.candidates!r} must be a list of texts, not {type(group).__name__}.")
        return [self._text_of(candidate, row) for candidate in group]

    def _text_of(self, candidate: Any, row: int) -> str:
        text = candidate.get(self.text) if isinstance(candidate, dict) else candidate
        if not isinstance(text, str):
            wanted = f"have a string {self.text!r}" if isinstance(candidate, dict) else "be a string"
            raise ValueError(f"Row {row}: each of {self.candidates!r} must {wanted}, not {type(text).__name__}.")
        return text

    def _with_columns(self, table: Any, rankings: Sequence[Sequence[RankedDocument]]) -> Any:
        indices = [[ranked.index for ranked in ranking] for ranking in rankings]
        scores = [[ranked.score for ranked in ranking] for ranking in rankings]
        if _is_pandas(table):
            import pandas as pd

            new = {self.index: indices, self.score: scores}
            # A Series of objects: for a table without rows pandas would make a column of numbers.
            return table.assign(**{name: pd.Series(lists, table.index, object) for name, lists in new.items()})
        import pyarrow as pa

        schema = table.schema.append(pa.field(self.index, pa.list_(pa.int32())))
        schema = schema.append(pa.field(self.score, pa.list_(pa.float64())))
        added = [pa.array(indices, pa.list_(pa.int32())), pa.array(scores, pa.list_(pa.float64()))]
        return type(table).from_arrays([*table.columns, *added], schema=schema)


@functools.lru_cache(maxsize=4)
def _opened(model: str | None, options: tuple[tuple[str, Any], ...]) -> Reranker:
    return load_reranker(model, **dict(options))


def _names(table: Any) -> list[str]:
    """The names of a table's columns."""
    if _is_pandas(table):
        names = getattr(table, "columns", None)
    else:  # a RecordBatchReader and a Dataset have a schema too, but no columns
        names = getattr(getattr(table, "schema", None), "names", None) if hasattr(table, "column") else None
    if names is None or callable(names):  # as in polars
        raise TypeError(
            f"A table must be a pyarrow Table or RecordBatch, or a pandas DataFrame, not {type(table).__name__};"
            " turn it into one of these."
        )
    return list(names)


def _is_pandas(table: object) -> bool:
    return any(each.__module__.partition(".")[0] == "pandas" for each in type(table).__mro__)  # GeoPandas' frames too


def _values(table: Any, name: str) -> list[Any]:
    """A column's values; null is None, whatever pandas has in its place: NaN, NaT or NA."""
    if _is_pandas(table):
        return [None if null else value for value, null in zip(table[name].tolist(), table[name].isna(), strict=True)]
    return list(table.column(name).to_pylist())
