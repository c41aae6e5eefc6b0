"""Source terms from the files that mappers have: any CSV, Usagi's save file, SOURCE_TO_CONCEPT_MAP, aatm's input."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ..csv_rows import rows_of_file
from .term import Term

_DECIDED = {"APPROVED", "IGNORED", "FLAGGED"}
_USAGI = {"sourceCode", "sourceName", "mappingStatus", "conceptId"}
_OMOP = {"source_code", "source_code_description"}
# Columns that are taken where the user names none.
_NAMES = ("name", "term", "source_name", "sourceName", "description", "source_code_description", "label", "text")
_CODES = ("code", "source_code", "sourceCode", "id", "source_id")
_FREQUENCIES = ("frequency", "count", "source_frequency", "sourceFrequency", "n")


@dataclass(frozen=True)
class TermColumns:
    """Which columns of a CSV hold what; None looks for the usual names."""

    name: str | None = None
    code: str | None = None
    frequency: str | None = None


def read_terms(path: Path, columns: TermColumns | None = None) -> Iterator[Term]:
    """Read source terms; the format is seen from the header.

    Args:
        path: a CSV, separated by commas, semicolons or tabs.
        columns: which column holds what.

    Raises:
        ValueError: naming the line, or the columns that are there: the file can't be read as terms.
    """
    columns = columns or TermColumns()
    rows = _rows(path)
    header = next(rows, None)
    if header is None:
        raise ValueError(f"{path} is empty.")
    names = list(header[1])
    if set(names) >= _USAGI and columns == TermColumns():
        yield from _usagi_terms(path, rows)
    elif set(names) >= _OMOP and columns == TermColumns():
        for number, row in rows:
            yield _term(path, number, row, "source_code_description", "source_code", None)
    else:
        name = _chosen(path, "name", columns.name, _NAMES, names)
        code = _chosen(path, "code", columns.code, _CODES, names)
        frequency = _chosen(path, "frequency", columns.frequency, _FREQUENCIES, names)
        if name is None:
            raise ValueError(f"{path}: no column is called a name; give --name-column, one of {', '.join(names)}.")
        for number, row in rows:
            yield _term(path, number, row, name, code, frequency)


def _chosen(path: Path, what: str, given: str | None, usual: tuple[str, ...], names: list[str]) -> str | None:
    if given is not None and given not in names:
        raise ValueError(f"{path} has no column {given!r} (--{what}-column); its columns are {', '.join(names)}.")
    return given or next((each for each in usual if each in names), None)


def _term(path: Path, number: int, row: dict[str, str], name: str, code: str | None, frequency: str | None) -> Term:
    text = row[name].strip()
    return Term(
        code=(row[code].strip() if code else "") or text,
        name=text,
        frequency=_frequency(path, number, row[frequency]) if frequency else None,
        vocabulary=row.get("source_vocabulary_id", "").strip(),
        rows=(row,),
    )


def _frequency(path: Path, number: int, value: str) -> int | None:
    try:
        count = int(float(value.replace(",", ""))) if value.strip() else -1
    except ValueError:
        raise ValueError(f"{path}, line {number}: the frequency {value!r} is not a number.") from None
    return None if count < 0 else count  # Usagi's -1 is unknown


def _usagi_terms(path: Path, rows: Iterator[tuple[int, dict[str, str]]]) -> Iterator[Term]:
    """One term for rows of the same code and name that stand together: they are the targets of one mapping."""
    for (code, name), group in groupby(rows, key=lambda row: (row[1]["sourceCode"], row[1]["sourceName"])):
        numbered = list(group)
        number, first = numbered[0]
        statuses = {row["mappingStatus"].strip().upper() for _, row in numbered}
        yield Term(
            code=code,
            name=name.replace("\\n", " ").replace("\\\\", "\\"),
            frequency=_frequency(path, number, first.get("sourceFrequency", "")),
            rows=tuple(row for _, row in numbered),
            decided=bool(statuses & _DECIDED) or len(numbered) > 1,
        )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The header as {column: ""}, then numbered rows."""
    rows = rows_of_file(path)
    try:
        number, header = next(rows, (0, []))
        if not header:
            return
        if len(set(header)) < len(header):
            raise ValueError(f"{path}: two columns have the same name.")
        yield number, dict.fromkeys(header, "")
        for number, row in rows:
            if len(row) != len(header):
                raise ValueError(
                    f"{path}, line {number}: {len(row)} fields, but the header has {len(header)};"
                    " quote a text that has the separator in it."
                )
            yield number, dict(zip(header, row, strict=True))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error.reason}); convert it first.") from None
