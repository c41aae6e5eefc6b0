"""What was scored, kept beside the output, so that a run that was ended goes on where it was."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from .propose import Candidate


class Journal:
    """A file of one line per text with its candidates; in memory are only the places of the lines.

    It may be read while it is written, and a line that a killed run left half written is forgotten.
    """

    def __init__(self, path: Path, settings: dict[str, Any], *, restart: bool = False) -> None:
        """Open the journal of a run, or begin it.

        Args:
            path: the file.
            settings: what the results depend on.
            restart: forget what is there.

        Raises:
            ValueError: it is of a run with other settings.
        """
        self.path = path
        self._places: dict[str, int] = {}
        first = json.dumps({"journal": 1, **settings}).encode() + b"\n"
        if restart or not path.exists() or not path.stat().st_size:
            path.write_bytes(first)
        self._stream: BinaryIO = path.open("r+b")
        if self._stream.readline() != first:
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
            try:
                self._places[json.loads(line)["text"]] = place
            except (ValueError, KeyError, TypeError):  # the end, or a line that was not finished
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
        """Write results; they are on disk when this returns."""
        self._stream.seek(0, os.SEEK_END)
        for text, candidates in results:
            place = self._stream.tell()
            self._stream.write(json.dumps({"text": text, "candidates": candidates}).encode() + b"\n")
            self._places[text] = place
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def remove(self) -> None:
        """Close and remove it: the output is written."""
        self._stream.close()
        self.path.unlink()

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it; the file stays."""
        self._stream.close()
