"""Any file of concepts: its format is seen from its first line."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from .concept import Concept, Synonym
from .damage import Damage
from .ontologies import read_obo, read_sssom
from .tables import ATHENA_SYNONYMS, Columns, read_athena, read_csv


def read_sources(
    paths: Sequence[Path], damage: Damage, columns: Columns | None = None, *, invalid: bool = False
) -> Iterator[Concept | Synonym]:
    """Read files one after another; files of synonyms last, because they name concepts of the others.

    Args:
        paths: CONCEPT.csv, CONCEPT_SYNONYM.csv, CSV with ids and names, OBO, SSSOM.
        damage: what to do about damaged lines.
        columns: the columns of plain CSV.
        invalid: also Athena's concepts with an invalid_reason.

    Raises:
        ValueError: naming the file: it is empty, its columns are unknown, or a line is damaged.
    """
    for path in sorted(paths, key=lambda path: _kind(path) == "synonyms"):
        kind = _kind(path)
        if kind in ("concepts", "synonyms"):
            yield from read_athena(path, damage, invalid=invalid)
        elif kind == "obo":
            yield from read_obo(path, damage)
        elif kind == "sssom":
            yield from read_sssom(path, damage)
        else:
            yield from read_csv(path, damage, columns or Columns())


def _kind(path: Path) -> str:
    with path.open("rb") as stream:
        first = stream.readline().decode("utf-8-sig", "replace").strip()
        while first.startswith("#"):  # SSSOM's metadata
            first = stream.readline().decode("utf-8", "replace").strip()
    fields = first.lower().split("\t")
    if not first:
        raise ValueError(f"{path} is empty.")
    if path.suffix.lower() == ".obo" or first.startswith("format-version:"):
        return "obo"
    if set(ATHENA_SYNONYMS) <= set(fields):
        return "synonyms"
    if {"concept_id", "concept_name"} <= set(fields):
        return "concepts"
    return "sssom" if {"subject_id", "object_id"} <= set(fields) or "object_id" in fields else "csv"
