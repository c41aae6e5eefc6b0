"""Concepts and synonyms from tables: Athena's files as they are, and any CSV with ids and names."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..csv_rows import listed, naming_other_encodings, refuse_doubled, rows_of_file
from .concept import Concept, Synonym
from .damage import Damage

ATHENA_SYNONYMS = ("concept_id", "concept_synonym_name")
# Of CONCEPT.csv, beside id and name: in the order of a Concept's fields.
_ATHENA_FURTHER = ("vocabulary_id", "domain_id", "concept_class_id", "standard_concept", "concept_code")


@dataclass(frozen=True)
class Columns:
    """Which columns of a CSV hold what.

    Of the columns beside id and name, one that has its usual name may be missing; one that is called otherwise is
    asked for, and must be there.

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

    Raises:
        ValueError: two columns have the same name.
    """
    lines = read_lines(path, damage)
    header = next(line for _, line in lines if line.strip()).lower().split("\t")
    refuse_doubled(path, header)
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
            further = (fields[place[column]] if column in place else "" for column in _ATHENA_FURTHER)
            yield Concept(concept_id, name, *further)


def read_csv(path: Path, damage: Damage, columns: Columns, *, invalid: bool = False) -> Iterator[Concept | Synonym]:
    """Read a table of concepts, separated by commas, semicolons or tabs, quoted as CSV is.

    Args:
        path: the file.
        damage: what to do about a row with another number of fields, or without id or name.
        columns: which column holds what.
        invalid: also concepts with an invalid_reason.

    Raises:
        ValueError: a column is missing or there twice, the header is not UTF-8, or a quote is left open, which hides
            where the rows end.
    """
    rows = rows_of_file(path, "surrogateescape")
    header = _header(path, rows, columns)
    invalid_column = None if invalid else next((each for each in header if each.lower() == "invalid_reason"), None)
    for number, row in rows:
        yield from _from_row(row, header, f"{path}, line {number}", damage, columns, invalid_column)


def check_csv(path: Path, columns: Columns) -> None:
    """Look at the header of such a table alone, before other files are read, which may take minutes.

    Raises:
        ValueError: a column is missing or there twice, or the header is not UTF-8.
    """
    _header(path, rows_of_file(path, "surrogateescape"), columns)


def _header(path: Path, rows: Iterator[tuple[int, list[str]]], columns: Columns) -> list[str]:
    _, header = next(rows, (0, []))
    with naming_other_encodings(str(path)):  # lines are damaged one by one, but no column is found by a damaged header
        ",".join(header).encode("utf-8", "surrogateescape").decode("utf-8")
    _check_columns(path, header, columns)
    return header


def _check_columns(path: Path, header: Sequence[str], columns: Columns) -> None:
    chosen = asdict(columns)
    for what, column in chosen.items():
        if column not in header and (what in ("id", "name") or column != getattr(Columns, what)):
            given, option = listed(header), what.removeprefix("concept_")
            raise ValueError(f"{path} has no column {column!r}; its columns are {given}. See --{option}-column.")
    refuse_doubled(path, [column for column in header if column in chosen.values()])


def _from_row(
    row: list[str], header: list[str], where: str, damage: Damage, columns: Columns, invalid_column: str | None
) -> Iterator[Concept | Synonym]:
    if len(row) != len(header):
        damage.found(f"{where}: {len(row)} fields, but the header has {len(header)}.")
        return
    values = {column: value.strip() for column, value in zip(header, row, strict=True)}
    if invalid_column is not None and values[invalid_column]:
        return
    concept_id, name = values[columns.id], values[columns.name]
    if not concept_id or not name:
        damage.found(f"{where}: no {columns.name if concept_id else columns.id}.")
        return
    if any("\ud800" <= character <= "\udfff" for value in row for character in value):
        damage.found(f"{where}: not UTF-8.")
        return
    more = (columns.vocabulary, columns.domain, columns.concept_class, columns.standard, columns.code)
    yield Concept(concept_id, name, *(values.get(column, "") for column in more))
    for text in values.get(columns.synonyms, "").split("|"):
        if text.strip():
            yield Synonym(concept_id, text.strip())
