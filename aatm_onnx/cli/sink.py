"""Where results go: standard output, a file that appears whole or not at all, or a pipe as it is."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from .. import atomic

# What the caller has open. A redirection may have led it to a file, which is the caller's to append to or to replace.
_OPEN_ALREADY = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")


@contextlib.contextmanager
def writing(output: Path | None, *, replace: bool) -> Iterator[IO[str]]:
    """Open the output as UTF-8, whatever the locale is.

    Args:
        output: the file; None is standard output.
        replace: standard output keeps the terminal's own encoding, and shows `?` for what that has not.

    Yields:
        The open output.

    Raises:
        OSError: it can't be written, or standard output is closed.
    """
    if output is None:
        with atomic.named("standard output"):
            yield _standard_output(replace)
    else:
        with opened(output) as binary:
            text = io.TextIOWrapper(binary, "utf-8", newline="")
            try:
                yield text
                text.flush()
            finally:
                with contextlib.suppress(OSError):
                    text.detach()  # else it closes what it wraps


@contextlib.contextmanager
def opened(output: Path) -> Iterator[BinaryIO]:
    """Open the output in binary: a file that appears whole or not at all, or a pipe or device as it is.

    Raises:
        OSError: naming `output`: it can't be written.
    """
    if is_stream(output):
        with atomic.named(output), output.open("ab") as stream:  # after `>>`, what is there stays
            yield stream
    else:
        with atomic.whole_file(output) as stream:
            yield stream


def check_folder(output: Path) -> None:
    """Say before the work what opening the output after it would say.

    Raises:
        FileNotFoundError: naming `output`: its folder does not exist.
    """
    if not output.parent.exists():
        raise atomic.without_folder(output)


def is_stream(output: Path) -> bool:
    """Whether something is there that must not be replaced by a file: a pipe, a device, or an open stream."""
    return output.exists() and (not output.is_file() or str(output.absolute()).startswith(_OPEN_ALREADY))


def _standard_output(replace: bool) -> IO[str]:
    if sys.stdout is None:  # as after `>&-`
        raise OSError("Standard output is closed; name a file with --output.")
    if isinstance(sys.stdout, io.TextIOWrapper) and not replace:
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return sys.stdout
