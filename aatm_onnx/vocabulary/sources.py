"""Any file of concepts: its format is seen from its first line."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..csv_rows import refuse_pipe
from .concept import Concept, Synonym
from .damage import Damage
from .ontologies import read_obo, read_sssom
from .tables import ATHENA_SYNONYMS, Columns, check_csv, read_athena, read_csv


def read_sources(
    paths: Sequence[Path], damage: Damage, columns: Columns | None = None, *, invalid: bool = False
) -> Iterator[Concept | Synonym]:
    """Read files one after another; files of synonyms last, because they name concepts of the others.

    Args:
        paths: CONCEPT.csv, CONCEPT_SYNONYM.csv, CSV with ids and names, OBO, SSSOM.
        damage: what to do about damaged lines.
        columns: the columns of plain CSV.
        invalid: also concepts with an invalid_reason.

    Raises:
        ValueError: naming the file: it is empty or a pipe, a column is missing or there twice, or a line is damaged.
    """
    columns = columns or Columns()
    for path in paths:
        if _kind(path) == "csv":
            check_csv(path, columns)
    for path in sorted(paths, key=lambda path: _kind(path) == "synonyms"):
        kind = _kind(path)
        if kind in ("concepts", "synonyms"):
            yield from read_athena(path, damage, invalid=invalid)
        elif kind == "obo":
            yield from read_obo(path, damage)
        elif kind == "sssom":
            yield from read_sssom(path, damage)
        else:
            yield from read_csv(path, damage, columns, invalid=invalid)


def _kind(path: Path) -> str:
    with path.open("rb") as stream:
        refuse_pipe(stream, path)
        lines = (line.decode("utf-8-sig", "replace").strip() for line in stream)
        first = next((line for line in lines if line and not line.startswith("#")), "")  # after SSSOM's metadata
    fields = first.lower().split("\t")
    if not first:
        raise ValueError(f"{path} is empty.")
    if path.suffix.lower() == ".obo" or first.startswith("format-version:"):
        return "obo"
    if set(ATHENA_SYNONYMS) <= set(fields):
        return "synonyms"
    if {"concept_id", "concept_name"} <= set(fields):
        return "concepts"
    return "sssom" if "object_id" in fields else "csv"
