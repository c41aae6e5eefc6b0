"""Where queries come from: a file that can be read twice, or a pipe that can't."""

import contextlib
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, Literal

import click

from ..csv_rows import naming_other_encodings
from .formats import QueryCandidates, csv, further_names, jsonl

Format = Literal["jsonl", "csv", "parquet"]
_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",  # the header says what separates the fields
    ".parquet": "parquet",
}


def format_of(path: Path) -> Format:
    """The format that a file's name says.

    Raises:
        UsageError: it says none.
    """
    if path.is_dir():
        return "parquet"  # of many parts
    if (chosen := named_format(path)) is None:
        raise click.UsageError(f"Can't tell the format of {path}; give --input-format jsonl, csv or parquet.")
    return chosen


def named_format(path: Path) -> Format | None:
    """The format that a file's suffix names, if it names one."""
    return _SUFFIXES.get(path.suffix.lower())


class Source:
    """Queries with candidates, read one after the other; each iteration begins at the first.

    Attributes:
        size: the bytes to read, or None from a pipe.
        columns_vary: whether queries may have other further fields than the first one and its candidates.
    """

    def __init__(self, path: Path, chosen: Format, query_column: str, candidate_column: str) -> None:
        """Open a file, or standard input for "-"."""
        self._name = "<stdin>" if str(path) == "-" else str(path)
        self._stream = _open(path)
        self._read: Callable[[IO[str], str], Iterator[QueryCandidates]] = jsonl.read
        self._newline: str | None = None
        if chosen == "csv":
            self._read = partial(csv.read, query_column=query_column, candidate_column=candidate_column)
            self._newline = ""  # line ends inside quotes are the field's own
        self.columns_vary = chosen == "jsonl"
        self._start, self.size = _extent(self._stream)

    def __iter__(self) -> Iterator[QueryCandidates]:
        """Read from the first query on.

        Raises:
            ValueError: naming the line that is wrong, or the input is not UTF-8.
            OSError: naming the input: it can't be read.
        """
        if self.size is not None:
            self._stream.seek(self._start)
        try:
            with naming_other_encodings(self._name), _text(self._stream, self._newline) as stream:
                yield from self._read(stream, self._name)
        except OSError as error:
            raise OSError(error.errno, f"can't be read ({error.strerror})", self._name) from error

    def position(self) -> int:
        """How many of `size` bytes have been read."""
        return self._stream.tell() - self._start

    def check(self) -> tuple[list[str], list[str]]:
        """Read all once, which costs little beside scoring, so that a fault in the last line shows at once.

        Returns:
            The names of all further fields, of the queries and of their candidates.
        """
        if self.size is None:
            self._spool()
        return further_names(self)

    def _spool(self) -> None:
        """Keep what comes from a pipe in a temporary file, which can be read twice."""
        file = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the source
        shutil.copyfileobj(self._stream, file)
        self._stream = file
        self._start, self.size = 0, file.tell()


def read_candidates(path: Path) -> list[str]:
    """One candidate a line, from a file or standard input; empty lines are skipped."""
    with _open(path) as binary, _text(binary, None) as stream:
        return [line.strip() for line in stream if line.strip()]


def _open(path: Path) -> BinaryIO:
    if str(path) != "-":
        return path.open("rb")
    if sys.stdin is None:  # as after `<&-`
        raise OSError("Standard input is closed; name a file.")
    return sys.stdin.buffer


def _extent(stream: BinaryIO) -> tuple[int, int | None]:
    """Where a file's content begins and how many bytes it has; None for the length of a pipe's."""
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode):
        return 0, None
    start = stream.tell()
    return start, status.st_size - start


@contextlib.contextmanager
def _text(binary: BinaryIO, newline: str | None) -> Iterator[IO[str]]:
    """Read as UTF-8 whatever the locale is; a byte order mark, as spreadsheets write it, is left out."""
    text = io.TextIOWrapper(binary, "utf-8-sig", newline=newline)
    try:
        yield text
    finally:
        if not binary.closed:  # as when an interrupt ends the command and all is let go of in any order
            text.detach()  # else it closes what it wraps
