"""What was scored, kept beside the output, so that a run that was ended goes on where it was."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from ..atomic import lock_open_file, named
from .propose import Candidate


class Journal:
    """A file of one line per text with its candidates; in memory are only the places of the lines.

    It may be read while it is written, by one run at a time. A line that a killed run left half written is forgotten.
    """

    def __init__(self, path: Path, settings: dict[str, Any], *, restart: bool = False) -> None:
        """Open the journal of a run, or begin it.

        Args:
            path: the file.
            settings: what the results depend on.
            restart: forget what is there.

        Raises:
            ValueError: it is of a run with other settings, or of one that has not ended.
            OSError: naming the file: it can't be written.
        """
        self.path = path
        self._places: dict[str, int] = {}
        self._stream = _locked_stream(path)
        first = json.dumps({"journal": 1, **settings}).encode() + b"\n"
        found = b"" if restart else self._stream.readline()
        if not found.endswith(b"\n"):  # nothing, or not even its first line was finished
            with named(path):
                self._stream.truncate(0)
                self._stream.write(first)
                self._stream.flush()
        elif found != first:
            self._stream.close()
            raise ValueError(
                f"{path} is of a run with other options, another model or another vocabulary;"
                " run it again as it was to go on, or give --restart to begin anew."
            )
        self._read_places()

    def _read_places(self) -> None:
        while True:
            place = self._stream.tell()
            line = self._stream.readline()
            if not line.endswith(b"\n"):  # the end, or a line that was not finished
                break
            try:
                self._places[json.loads(line)["text"]] = place
            except (ValueError, KeyError, TypeError):  # what a power cut left
                break
        self._stream.seek(place)
        self._stream.truncate()

    def __len__(self) -> int:
        """How many texts are in it."""
        return len(self._places)

    def __contains__(self, text: object) -> bool:
        """Whether a text was scored."""
        return text in self._places

    def __getitem__(self, text: str) -> list[Candidate]:
        """The candidates of a text."""
        self._stream.seek(self._places[text])
        return [Candidate(*each) for each in json.loads(self._stream.readline())["candidates"]]

    def append(self, results: Iterable[tuple[str, Sequence[Candidate]]]) -> None:
        """Write results; they are on disk when this returns.

        Raises:
            OSError: naming the file: it can't be written.
        """
        with named(self.path):
            self._stream.seek(0, os.SEEK_END)
            for text, candidates in results:
                place = self._stream.tell()
                self._stream.write(json.dumps({"text": text, "candidates": candidates}).encode() + b"\n")
                self._places[text] = place
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def remove(self) -> None:
        """Remove and close it: the output is written."""
        try:
            self.path.unlink()
        except PermissionError:  # Windows removes no open file
            self._stream.close()
            self.path.unlink()
        self._stream.close()

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it; the file stays."""
        with named(self.path):  # what could not be written before can't be now
            self._stream.close()


def _locked_stream(path: Path) -> BinaryIO:
    """Open a file at its start, locked, and make it if there is none."""
    while True:
        stream = path.open("a+b")
        if lock_open_file(stream.fileno(), wait=False) is False:
            stream.close()
            raise ValueError(f"{path} is of a run that has not ended; wait for it, or give another output.")
        if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
            stream.seek(0)
            return stream
        stream.close()  # that run has just ended, and removed it
