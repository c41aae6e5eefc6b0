"""A site's own shorthand, from a CSV of short forms and what they mean."""

import csv
from pathlib import Path


def read_abbreviations(path: Path) -> dict[str, str]:
    """Read shorthand.

    Args:
        path: a CSV without a header: a short form and what it means; a form that means nothing is left out of terms.

    Raises:
        ValueError: naming the line that has not a short form and a meaning, or the file is not CSV in UTF-8.
    """
    meanings = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            for row in reader:
                if not any(map(str.strip, row)):
                    continue
                if len(row) != 2 or not row[0].strip():
                    raise ValueError(f"{path}, line {reader.line_num}: expected two fields, short and long.")
                meanings[row[0].strip()] = row[1].strip()
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: not CSV ({error}); is a quote left open?") from None
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path} is not UTF-8 ({error.reason}); convert it first, for example with iconv."
            ) from None
    return meanings
