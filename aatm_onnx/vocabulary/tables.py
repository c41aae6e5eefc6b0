"""Concepts and synonyms from tables: Athena's files as they are, and any CSV with ids and names."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .concept import Concept, Synonym
from .damage import Damage

ATHENA_CONCEPTS = ("concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_class_id", "standard_concept")
ATHENA_SYNONYMS = ("concept_id", "concept_synonym_name")


@dataclass(frozen=True)
class Columns:
    """Which columns of a CSV hold what; one that the file does not have is left empty.

    Attributes:
        id: the concept's id, required.
        name: its name, required.
        synonyms: further names in one field, separated by `|`.
    """

    id: str = "id"
    name: str = "name"
    synonyms: str = "synonyms"
    vocabulary: str = "vocabulary"
    domain: str = "domain"
    concept_class: str = "class"
    standard: str = "standard"
    code: str = "code"


def read_lines(path: Path, damage: Damage) -> Iterator[tuple[int, str]]:
    """Numbered lines; one that is not UTF-8 is damaged."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                damage.found(f"{path}, line {number}: not UTF-8 ({error.reason}).")


def read_athena(path: Path, damage: Damage, *, invalid: bool = False) -> Iterator[Concept | Synonym]:
    """Read CONCEPT.csv or CONCEPT_SYNONYM.csv: separated by tabs, a quote is a character like others.

    Args:
        path: the file.
        damage: what to do about a line with another number of fields, or without id or name.
        invalid: also concepts with an invalid_reason.

    Yields:
        Concepts, or synonyms.
    """
    lines = read_lines(path, damage)
    header = next(lines)[1].lower().split("\t")
    place = {column: index for index, column in enumerate(header)}
    name_column = "concept_name" if "concept_name" in place else "concept_synonym_name"
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) != len(header):
            if line:
                damage.found(f"{path}, line {number}: {len(fields)} fields, but the header has {len(header)}.")
            continue
        concept_id, name = fields[place["concept_id"]].strip(), fields[place[name_column]].strip()
        if not concept_id or not name:
            damage.found(f"{path}, line {number}: no {'concept_id' if not concept_id else name_column}.")
        elif name_column == "concept_synonym_name":
            yield Synonym(concept_id, name)
        elif invalid or "invalid_reason" not in place or not fields[place["invalid_reason"]]:
            more = {
                column: fields[place[column]] for column in (*ATHENA_CONCEPTS[2:], "concept_code") if column in place
            }
            yield Concept(concept_id, name, *(more.get(column, "") for column in _CONCEPT_ORDER))


_CONCEPT_ORDER = ("vocabulary_id", "domain_id", "concept_class_id", "standard_concept", "concept_code")


def read_csv(path: Path, damage: Damage, columns: Columns) -> Iterator[Concept | Synonym]:
    """Read a table of concepts, separated by commas, semicolons or tabs, quoted as CSV is.

    Args:
        path: the file.
        damage: what to do about a row with another number of fields, or without id or name.
        columns: which column holds what.

    Raises:
        ValueError: a required column is missing, or a quote is left open, which hides where the rows end.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        first = stream.readline()
        stream.seek(0)
        reader = csv.reader(stream, delimiter=max(",;\t", key=first.count), strict=True)
        try:
            header = next(reader, [])
            for column in (columns.id, columns.name):
                if column not in header:
                    given = ", ".join(header) or "none"
                    raise ValueError(f"{path} has no column {column!r}; its columns are {given}. See --id-column.")
            for row in reader:
                yield from _from_row(row, header, f"{path}, line {reader.line_num}", damage, columns)
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: not CSV ({error}); is a quote left open?") from None


def _from_row(
    row: list[str], header: list[str], where: str, damage: Damage, columns: Columns
) -> Iterator[Concept | Synonym]:
    if len(row) != len(header):
        if row:
            damage.found(f"{where}: {len(row)} fields, but the header has {len(header)}.")
        return
    fields = {name: value.strip() for name, value in zip(header, row, strict=True)}
    concept_id, name = fields[columns.id], fields[columns.name]
    if not concept_id or not name:
        damage.found(f"{where}: no {columns.name if concept_id else columns.id}.")
        return
    if any("\ud800" <= character <= "\udfff" for value in row for character in value):
        damage.found(f"{where}: not UTF-8.")
        return
    more = (columns.vocabulary, columns.domain, columns.concept_class, columns.standard, columns.code)
    yield Concept(concept_id, name, *(fields.get(column, "") for column in more))
    for text in fields.get(columns.synonyms, "").split("|"):
        if text.strip():
            yield Synonym(concept_id, text.strip())
