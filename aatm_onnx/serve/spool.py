"""Answers that wait for a client to read them: in memory, and on disk once they are many.

Most HTTP clients send a whole body before they read. If answers had to be read first, both sides would wait for each
other for ever, as soon as the system's buffers are full.
"""

import asyncio
import contextlib
from tempfile import SpooledTemporaryFile

_IN_MEMORY = 4_000_000
_READ = 256_000


class Spool:
    """A queue of bytes with one writer and one reader, on the event loop.

    Attributes:
        waiting: how many bytes are written and not read.
    """

    def __init__(self, most: int) -> None:
        """Take the most bytes that may wait."""
        self.waiting = 0
        self._most = most
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._read_from = 0
        self._ended = False
        self._written, self._taken = asyncio.Event(), asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Add bytes, once there is room.

        Raises:
            OSError: the disk is full.
        """
        while self.waiting > self._most:
            self._taken.clear()
            await self._taken.wait()
        self._file.seek(self._read_from + self.waiting)
        self._file.write(data)
        self.waiting += len(data)
        self._written.set()

    def end(self) -> None:
        """Say that nothing follows."""
        self._ended = True
        self._written.set()

    async def read(self) -> bytes:
        """Some bytes that were written; none at the end."""
        while not self.waiting and not self._ended:
            self._written.clear()
            await self._written.wait()
        self._file.seek(self._read_from)
        data = self._file.read(min(self.waiting, _READ))
        self.waiting -= len(data)
        self._read_from += len(data)
        if not self.waiting:  # so that a client that keeps up never takes the disk
            self._file.seek(0)
            self._file.truncate()
            self._read_from = 0
        self._taken.set()
        return data

    def close(self) -> None:
        """Give the memory, or the file, back."""
        with contextlib.suppress(OSError):  # what can't be written is not wanted any more
            self._file.close()
