"""Source terms from the files that mappers have: any CSV, Usagi's save file, SOURCE_TO_CONCEPT_MAP, aatm's input."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ..csv_rows import listed, naming_other_encodings, refuse_doubled, rows_of_file
from .term import Approved, Term, column_of, is_tool

USAGI = {"sourceCode", "sourceName", "mappingStatus", "conceptId"}  # by these a file that Usagi saved is known
_DECIDED = ("APPROVED", "IGNORED", "FLAGGED")
_ESCAPED = re.compile(r"\\([\\n])")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")
_ONE_OR_A_THOUSAND = re.compile(r"\d{1,3}\.\d{3}")  # 1.000 is a thousand in German, and one in English
# Columns that are taken where the user names none; those of SOURCE_TO_CONCEPT_MAP and aatm come first.
_NAMES = ("source_code_description", "name", "term", "source_name", "sourceName", "description", "label", "text")
_CODES = ("source_code", "code", "sourceCode", "id", "source_id")
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
    if set(names) >= USAGI:
        _check_usagi(path, columns)
        yield from _usagi_terms(path, rows)
        return
    name = _chosen(path, "name", columns.name, _NAMES, names)
    code = _chosen(path, "code", columns.code, _CODES, names)
    frequency = _chosen(path, "frequency", columns.frequency, _FREQUENCIES, names)
    vocabulary = column_of(names, ["source_vocabulary_id"])
    if name is None:
        raise ValueError(f"{path}: no column is called a name; give --name-column, one of {listed(names)}.")
    for number, row in rows:
        text = row[name].strip()
        yield Term(
            code=(row[code].strip() if code else "") or text,
            name=text,
            frequency=_frequency(path, number, row[frequency]) if frequency else None,
            vocabulary=row[vocabulary].strip() if vocabulary else "",
            rows=(row,),
        )


def columns_of_file(path: Path) -> tuple[str, ...]:
    """The names of its columns; none if it is empty.

    Raises:
        ValueError: it is not a CSV in UTF-8, or two columns have the same name.
    """
    return tuple(next(_rows(path), (0, {}))[1])


def _check_usagi(path: Path, columns: TermColumns) -> None:
    for what, own in (("name", "sourceName"), ("code", "sourceCode"), ("frequency", "sourceFrequency")):
        if getattr(columns, what) not in (None, own):
            raise ValueError(f"{path} is a file saved by Usagi: its {what} is in {own}; leave --{what}-column out.")


def _chosen(path: Path, what: str, given: str | None, usual: tuple[str, ...], names: list[str]) -> str | None:
    if given is not None and given not in names:
        raise ValueError(f"{path} has no column {given!r} (--{what}-column); its columns are {listed(names)}.")
    return given or column_of(names, usual)


def _frequency(path: Path, number: int, value: str) -> int | None:
    text = value.strip()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        given = int(text) if text.isdecimal() else float(text or -1)
        count = int(given)
        if count != given or _ONE_OR_A_THOUSAND.fullmatch(text) or count >= 2**63:  # Parquet's largest integer
            raise OverflowError
    except (ValueError, OverflowError):
        raise ValueError(
            f"{path}, line {number}: the frequency {value!r} is not a whole number, or too large."
        ) from None
    return None if count < 0 else count  # Usagi's -1 is unknown


def _usagi_terms(path: Path, rows: Iterator[tuple[int, dict[str, str]]]) -> Iterator[Term]:
    """One term for rows of the same code and name that stand together: they are the targets of one mapping."""
    for (code, name), group in groupby(rows, key=lambda row: (row[1]["sourceCode"], row[1]["sourceName"])):
        numbered = list(group)
        number, first = numbered[0]
        statuses = [row["mappingStatus"].strip().upper() for _, row in numbered]
        approved = [row for (_, row), status in zip(numbered, statuses, strict=True) if status == "APPROVED"]
        several = "UNCHECKED" if len(numbered) > 1 else ""
        status = next((each for each in _DECIDED if each in statuses), several).lower()
        if status == "approved" and all(is_tool(row.get("statusSetBy", "")) for row in approved):
            status = "accepted"
        yield Term(
            code=_unescaped(code),
            name=_unescaped(name),
            frequency=_frequency(path, number, first.get("sourceFrequency", "")),
            rows=tuple(row for _, row in numbered),
            status=status,
            approved=tuple(_approved(row) for row in approved if row["conceptId"] not in ("", "0")),
        )


def _approved(row: dict[str, str]) -> Approved:
    name, equivalence, by = (row.get(column, "") for column in ("conceptName", "equivalence", "statusSetBy"))
    return Approved(row["conceptId"], _unescaped(name), equivalence, _unescaped(by))


def _unescaped(field: str) -> str:
    """Usagi writes a backslash as two, and a new line as a backslash and an n."""
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else "\\", field)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The header as {column: ""}, then numbered rows."""
    rows = rows_of_file(path)
    with naming_other_encodings(str(path)):
        number, header = next(rows, (0, []))
        if not header:
            return
        refuse_doubled(path, list(filter(str.strip, header)))  # a spreadsheet saves empty columns without a name
        yield number, dict.fromkeys(header, "")
        for number, row in rows:
            if len(row) != len(header):
                raise ValueError(
                    f"{path}, line {number}: {len(row)} fields, but the header has {len(header)};"
                    " quote a text that has the separator in it."
                )
            yield number, dict(zip(header, row, strict=True))
