"""Output formats that are tables of their own: CSV, JSONL and Parquet."""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import IO, Any, BinaryIO

from ..arrow import import_pyarrow
from .mapped import MappedTerm

COLUMNS = (
    *("source_code", "source_name", "source_frequency", "matched_as", "changes", "decision"),
    *("concept_id", "concept_name", "matched_name", "vocabulary", "domain", "concept_class", "standard", "code"),
    *("score", "margin", "similarity", "others"),
)
_PARQUET_ROWS = 5000


@dataclass(frozen=True)
class Origin:
    """What a file says of where its mappings come from.

    Attributes:
        tool: "aatm-onnx 0.2.0".
        model: the reranker's name.
        source_vocabulary: of the source codes, where the source does not say.
        target_prefix: put before concept ids that are not CURIEs.
        today: the day of the mappings.
        set_id: the mapping set's own id.
        source_columns: the columns of the source list.
    """

    tool: str
    model: str
    source_vocabulary: str
    target_prefix: str
    today: date
    set_id: str
    source_columns: tuple[str, ...] = ()


class Writer(ABC):
    """Writes mapped terms, one by one."""

    @abstractmethod
    def write(self, mapped: MappedTerm) -> None:
        """Write one term."""

    def close(self) -> None:  # noqa: B027  # nothing is held back, unless a format says so
        """Write what is held back."""


def others(mapped: MappedTerm) -> str:
    """Candidates that the term is not mapped to, in one line for people."""
    left = mapped.proposed if mapped.first is None else mapped.proposed[1:]
    return "; ".join(f"{each.concept.id} {each.concept.name} ({each.score:.2f})" for each in left)


def rows_of(mapped: MappedTerm) -> Iterator[dict[str, Any]]:
    """A row of each target, or one without; it has the columns of `COLUMNS`, all but `others`."""
    term, first = mapped.term, mapped.first
    for target in mapped.targets or (None,):
        concept = {} if target is None else asdict(target)
        yield {
            "source_code": term.code,
            "source_name": term.name,
            "source_frequency": term.frequency,
            "matched_as": mapped.reading.text,
            "changes": "; ".join(mapped.reading.changes),
            "decision": term.status or mapped.decision,
            "concept_id": concept.get("id"),
            "concept_name": concept.get("name"),
            "matched_name": first and first.text,
            **{column: concept.get(column) for column in ("vocabulary", "domain", "concept_class", "standard", "code")},
            "score": mapped.proposed[0].score if mapped.proposed else None,
            "margin": mapped.margin if mapped.proposed else None,
            "similarity": mapped.proposed[0].similarity if mapped.proposed else None,
        }


class CsvWriter(Writer):
    """One row per term, or per target that was approved before."""

    def __init__(self, stream: IO[str]) -> None:
        """Write the header."""
        self._writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        self._writer.writeheader()

    def write(self, mapped: MappedTerm) -> None:
        """Write one term's rows."""
        self._writer.writerows({**row, "others": others(mapped)} for row in rows_of(mapped))


class JsonlWriter(Writer):
    """One object per term, or per target that was approved before, with all candidates."""

    def __init__(self, stream: IO[str]) -> None:
        """Write to `stream`."""
        self._stream = stream

    def write(self, mapped: MappedTerm) -> None:
        """Write one term's lines."""
        for row in rows_of(mapped):
            line = {**row, "candidates": candidates_of(mapped)}
            self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")


class ParquetWriter(Writer):
    """One row per term, or per target that was approved before; `candidates` is a list of structs."""

    def __init__(self, stream: BinaryIO) -> None:
        """Open the file.

        Raises:
            ImportError: pyarrow is not installed.
        """
        pyarrow = import_pyarrow()
        text, number = pyarrow.string(), pyarrow.float64()
        kinds = dict.fromkeys(COLUMNS[:-1], text)
        kinds |= {"source_frequency": pyarrow.int64(), "score": number, "margin": number, "similarity": number}
        each = {"concept_id": text, "name": text, "matched_name": text, "score": number, "similarity": number}
        candidates = pyarrow.list_(pyarrow.struct(list(each.items())))
        self._schema = pyarrow.schema([*kinds.items(), ("candidates", candidates)])
        self._table = pyarrow.Table
        self._writer = pyarrow.parquet.ParquetWriter(stream, self._schema)
        self._rows: list[dict[str, Any]] = []

    def write(self, mapped: MappedTerm) -> None:
        """Hold one term's rows back until there are some thousand."""
        self._rows += ({**row, "candidates": candidates_of(mapped)} for row in rows_of(mapped))
        if len(self._rows) >= _PARQUET_ROWS:
            self._flush()

    def close(self) -> None:
        """Write the rest and the file's end."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def candidates_of(mapped: MappedTerm) -> list[dict[str, Any]]:
    """All candidates of a term."""
    return [
        {
            "concept_id": each.concept.id,
            "name": each.concept.name,
            "matched_name": each.text,
            "score": each.score,
            "similarity": each.similarity,
        }
        for each in mapped.proposed
    ]
