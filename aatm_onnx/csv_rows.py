"""CSV as people save it: rows with their line numbers, whatever separates the fields and however long they are."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

_DELIMITERS = ",;\t"
_SAID = re.compile(r'"?sep=([^\w" \r\n])"?[\r\n]*', re.IGNORECASE)  # how a file tells Excel what separates its fields
_METADATA = re.compile(r"#\s*\w+:")  # how an SSSOM file begins, whose header comes after lines that begin with #
csv.field_size_limit(2**31 - 1)  # the module's own limit is 131,072 characters


def numbered_rows(stream: IO[str], name: str, delimiter: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Read the header, then the rows, each with its line number.

    Rows without any text are left out, and so are SSSOM's metadata.

    Args:
        stream: the open file, its line ends as they are.
        name: what to call it in an error.
        delimiter: what separates the fields; None is a comma, a semicolon or a tab: what the header has most of.
            A first line such as `sep=;` is no row, and says it in any case.

    Raises:
        ValueError: with the line, a quote is left open, which hides where the rows end.
    """
    first = next(stream, "")
    if said := _SAID.fullmatch(first):
        delimiter, first = said[1], "\n"
    lines: Iterator[str] = chain([first], stream)
    if _METADATA.match(first):
        lines = _without_metadata(lines)
    if delimiter is None:
        begun = _up_to_header(lines)
        delimiter, lines = max(_DELIMITERS, key=begun[-1].count), chain(begun, lines)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)  # else an open quote would take in the lines after it
    try:
        for row in reader:
            if any(map(str.strip, row)):
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}: not CSV ({error}); is a quote left open?") from None


def _without_metadata(lines: Iterator[str]) -> Iterator[str]:
    """The lines, with blank ones in place of those that begin with # and stand before all others."""
    begun = False
    for line in lines:
        begun = begun or not line.startswith("#")
        yield line if begun else "\n"


def _up_to_header(lines: Iterator[str]) -> list[str]:
    """The header, and the lines before it that are blank; one empty line if there are none."""
    begun = [""]
    for line in lines:
        begun.append(line)
        if line.strip(f"{_DELIMITERS}\r\n "):
            break
    return begun[1:] or begun


def rows_of_file(path: Path, errors: str = "strict") -> Iterator[tuple[int, list[str]]]:
    """Read a file that may be read again.

    Args:
        path: the file.
        errors: what to do about bytes that are not UTF-8, as `open` takes it.

    Raises:
        ValueError: it is a pipe, or is not CSV.
    """
    with path.open(encoding="utf-8-sig", errors=errors, newline="") as stream:
        refuse_pipe(stream, path)
        yield from numbered_rows(stream, str(path))


@contextmanager
def naming_other_encodings(name: str) -> Iterator[None]:
    """Raise a ValueError that names what is read, where it is not UTF-8."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 ({error.reason}); convert it first: with iconv, or save a spreadsheet as UTF-8 CSV."
        ) from None


def listed(columns: Iterable[str]) -> str:
    """The names of columns, for an error. Where a file has no header, they are its texts: many, or long ones."""
    names = [name if len(name) <= 60 else f"{name[:57]}..." for name in columns if name.strip()]
    return ", ".join([*names[:30], *["..."] * (len(names) > 30)]) or "none"


def refuse_doubled(name: Path | str, columns: Sequence[str]) -> None:
    """Raise a ValueError if two columns have the same name."""
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise ValueError(f"{name} has more than one column {twice[0]!r}; give each a name of its own.")


def refuse_pipe(stream: IO[Any], path: Path) -> None:
    """Raise a ValueError for what can't be read from its beginning again."""
    if not stream.seekable():
        raise ValueError(f"{path} is a pipe, and must be read more than once; save its content in a file first.")
