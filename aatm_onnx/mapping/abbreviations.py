"""A site's own shorthand, from a CSV of short forms and what they mean."""

from pathlib import Path

from ..csv_rows import naming_other_encodings, numbered_rows


def read_abbreviations(path: Path) -> dict[str, str]:
    """Read shorthand.

    Args:
        path: a CSV without a header: a short form and what it means; a form that means nothing is left out of terms.

    Raises:
        ValueError: naming the line that has not a short form and a meaning, or the file is not CSV in UTF-8.
    """
    meanings = {}
    with naming_other_encodings(str(path)), path.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in numbered_rows(stream, str(path), ","):
            if not any(map(str.strip, row)):
                continue
            if len(row) != 2 or not row[0].strip():
                raise ValueError(f"{path}, line {number}: expected two fields with a comma between, short and long.")
            meanings[row[0].strip()] = row[1].strip()
    return meanings
